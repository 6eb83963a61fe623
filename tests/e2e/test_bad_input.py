"""What people get wrong: one line that says it, a hint, an exit code, and nothing changed."""

import socket
from collections.abc import Callable

import pytest
from sandbox import HOST, Sandbox

from tests.e2e.support import WEB, App, refused, snapshot, web


@pytest.fixture(scope="module")
def good(new_app: Callable[..., App]) -> App:
    return new_app("good")


def live_parts(app: App) -> dict[str, str]:
    """The files that say what is live, and what it was told."""
    root = app.server.root
    found: dict[str, str] = {}
    for folder in ("nginx", "uwsgi-enabled", f"envs/{app.name}", f"apps/{app.name}", "repos"):
        found |= snapshot(root / folder)
    return {path: text for path, text in found.items() if not path.endswith(("error.log", ".tmp"))}


COMMANDS = [  # a sample; the rest is in tests/unit/cli
    # command, exit code, what it says
    (["config:get", "nosuch", "A"], 1, ["no app called 'nosuch'", "apps here:", "good"]),
    (["config:set", "goood", "A=1"], 1, ["no app called 'goood'", "did you mean 'good'?"]),
    (["config:set", "nosuch", "UWSGI_PROCESES=2"], 1, ["UWSGI_PROCESES is not a setting"]),
    (["destroy", "good/../good", "--force"], 1, ["not an app name", "letters"]),
    (["stop", "-good"], 2, []),
    (["stop", "x" * 100_000], 1, ["not an app name"]),
    (["stop", "good\n"], 1, ["not an app name"]),
    (["stop", ""], 1, ["not an app name"]),
    (["confg", "good"], 2, ["did you mean 'config'"]),
    (["config:get", "good", "NOSUCH"], 1, ["no setting 'NOSUCH'", "piku config good"]),
    (["config:set", "good", "PORT=99999"], 1, ["PORT=99999"]),
    (["ps:scale", "good", "nosuch=1"], 1, ["'nosuch' is not a process type", "web"]),
    (["logs", "good", "--release", "9"], 1, ["no release v9"]),
    (["rollback", "good", "v9"], 1, ["no release v9", "piku releases good"]),
]


def test_commands(good: App) -> None:
    before, pid = live_parts(good), good.about()["pid"]
    for command, code, words in COMMANDS:
        refused(good.server.piku(*command), code, *words)
    assert live_parts(good) == before
    assert (good.about()["pid"], good.body()) == (pid, "one")
    assert len(good.releases()) == 1


def test_the_same_over_ssh(good: App) -> None:
    for command, code, words in (
        ("ps nosuch", 1, "no app called 'nosuch'"),
        ("nosuch good", 2, "no command 'nosuch'"),
        ("ps good --nosuch", 2, "--nosuch"),
        ("config:get good NOSUCH", 1, "no setting"),
    ):
        refused(good.server.ssh(command), code, words)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"Procfile": None}, "no Procfile in the top folder"),
        ({"Procfile": WEB + "worker:\n"}, "Procfile line 2: 'worker' has no command"),
        ({"Procfile": "\x00\x01\x02"}, "Procfile line 1"),
        ({"ENV": "A=1\n\nnot a setting\n"}, "ENV line 3 is not of the form"),
        ({"ENV": "UWSGI_PROCESES=2\n"}, "UWSGI_PROCESES is not a setting"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_pushes(good: App, files: dict[str, str | None], words: str) -> None:
    before, pid = live_parts(good), good.about()["pid"]
    good.server.git(good.repository, "reset", "--quiet", "--hard", "HEAD")
    start = good.server.git(good.repository, "rev-parse", "HEAD").stdout.strip()
    good.server.commit(good.repository, files)
    try:
        said = good.failed()
        lines = [line for line in said if line.startswith(" !     ")]
        assert any("failed at reading the commit" in line and words in line for line in lines), said
        assert len(lines) <= 6, said  # the error, its hint, what runs, what became of the branch
        assert any("v1" in line and "still runs" in line for line in lines), said
        after = live_parts(good)
        assert {k: v for k, v in after.items() if "/repos/" not in k} == {
            k: v for k, v in before.items() if "/repos/" not in k
        }
        assert good.about()["pid"] == pid
    finally:
        good.server.git(good.repository, "reset", "--quiet", "--hard", start)


def test_up_when_it_cannot(server: Sandbox) -> None:
    ports = [
        "--http-port",
        str(server.http_port),
        "--https-port",
        str(server.https_port),
        "--host",
        HOST,
    ]
    refused(server.piku("up", *ports), 1, "piku is already running on this root")
    with socket.create_server((HOST, 0)) as alien:
        taken = str(alien.getsockname()[1])
        other = {"PIKU_ROOT": str(server.base / "other")}
        result = server.piku(
            "up", "--http-port", taken, "--https-port", taken, "--host", HOST, env=other
        )
        refused(result, 1, f"cannot listen on {HOST}:{taken}", "--http-port")


def test_commands_before_there_is_anything(server: Sandbox) -> None:
    other = {"PIKU_ROOT": str(server.base / "empty"), "HOME": str(server.base / "empty-home")}
    assert server.piku("apps", env=other).stdout == ""
    refused(server.piku("ps", "app", env=other), 1, "no app called 'app'", "push one first")
    assert server.piku("keys", env=other).stdout == ""


def test_without_a_platform_a_push_says_so(server: Sandbox) -> None:
    other = {"PIKU_ROOT": str(server.base / "off")}
    assert server.piku("setup", env=other).returncode == 0
    repository = server.repository("off", web("off"))
    environment = {**server.server_env(), **other}
    from sandbox import run

    # No sshd leads to this root: git runs the command that sshd would.
    command = f"{server.checkout}/bin/piku git-receive-pack"
    result = run(
        ["git", "push", f"--receive-pack={command}", "file:///off", "main"],
        env={**environment, **{k: v for k, v in server.git_env().items() if k.startswith("GIT_")}},
        cwd=repository,
    )
    assert result.returncode != 0
    assert "piku is not running on this server" in result.stderr
    assert "Traceback" not in result.stderr
