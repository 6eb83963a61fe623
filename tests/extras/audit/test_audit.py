"""What of commands is kept: who, from where, what, and how it ended; no secrets, and not for ever."""

from __future__ import annotations

import errno
import json
import re
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click
import pytest
from sandbox import Sandbox

from piku.cli.config import config
from piku.cli.main import cli, execute
from piku.errors import PikuError
from piku.extras.audit import record
from piku.paths import AppPaths, Paths
from tests.e2e.support import App

NewApp = Callable[..., App]
Entry = dict[str, Any]


@pytest.fixture
def here(paths: Paths, shop: AppPaths, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A server with one app that was never deployed, as commands find it."""
    monkeypatch.setenv("PIKU_ROOT", str(paths.root))
    monkeypatch.setenv("HOME", str(paths.home))
    shop.repo.mkdir()
    return paths


def lines(paths: Paths) -> list[Entry]:
    text = "".join(place.read_text() for place in record.places(paths) if place.exists())
    return [json.loads(line) for line in text.splitlines()]


def last(paths: Paths, *words: str) -> Entry:
    """The line that a command leaves."""
    execute(words)
    return lines(paths)[-1]


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (
            ["config:set", "shop", "TOKEN=hunter2", "--no-restart", "B=hunter2"],
            "--no-restart TOKEN=… B=…",
        ),
        (["config:set", "shop", "TOKEN", "hunter2"], ""),
        (["config:set", "shop", "--no-restart", "--hunter2"], "--no-restart"),
        (["config:set", "shop", "--no-restart", "-", "hunter2"], "--no-restart"),
        (["-a", "shop", "config:set", "TOKEN=hunter2"], "TOKEN=…"),
        (["run", "shop", "psql", "-p", "hunter2"], ""),
        (["run", "shop", "psql", "--password=hunter2"], ""),
        (["deploy", "shop", "--from", "https://me:hunter2@example.com/x"], "--from"),
        (["certs:add", "shop", "hunter2"], ""),
        (["config:unset", "shop", "TOKEN", "TOKEN=hunter2"], "TOKEN"),
        (["rollback", "shop", "v3", "--allow-untracked"], "v3 --allow-untracked"),
        (["ps:scale", "shop", "web=2"], "web=2"),
        (["keys:add", "eve", "/none", "--role=admin"], "eve /none --role=admin"),
    ],
)
def test_no_secret_is_kept(here: Paths, words: list[str], arguments: str) -> None:
    found = last(here, *words)
    assert found["arguments"] == arguments
    assert "hunter2" not in (here.root / "audit.log").read_text()
    assert (here.root / "audit.log").stat().st_mode & 0o777 == 0o600


def test_what_only_looks_is_not_kept(here: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in (["apps"], ["ps", "shop"], ["releases", "shop"], ["help"], ["keys"], ["audit"]):
        execute(words)
    assert not (here.root / "audit.log").exists()
    execute(["housekeeping"])  # piku's own
    assert not (here.root / "audit.log").exists()
    for command in ("config", "config:live"):
        assert last(here, command, "shop")["command"] == command, "it shows secrets"


def test_who_and_from_where(here: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "alice")
    found = last(here, "config", "shop")
    assert [found[name] for name in ("by", "key", "address")] == ["alice", "", ""]
    monkeypatch.setenv("NAME", "ann")
    monkeypatch.setenv("FINGERPRINT", "SHA256:x")
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22")
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", "")
    found = last(here, "config", "shop")
    assert [found[name] for name in ("by", "key", "address")] == ["ann", "SHA256:x", "192.0.2.7"]
    monkeypatch.setenv("PIKU_ROLE", "read")
    for words in (["config", "shop"], ["git-hook", "shop"]):
        assert last(here, *words)["outcome"] == "refused"
    execute(["apps"])
    assert lines(here)[-1]["command"] == "git-hook"


def test_how_it_ended(here: Paths) -> None:
    for words, outcome in (
        (["config", "shop"], "ok"),
        (["config:live", "shop"], "exit 1"),
        (["config:get", "shop"], "exit 2"),
    ):
        found = last(here, *words)
        assert (found["command"], found["app"], found["outcome"]) == (words[0], "shop", outcome)
    assert len(lines(here)) == 6, "one for the start, one for the end"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (BrokenPipeError(), "ok"),  # the reader has seen enough
        (OSError(errno.ENOSPC, "No space left on device"), "exit 1"),
        (OSError(errno.EIO, "Input/output error"), "exit 3"),
        (click.Abort(), "exit 130"),
        (EOFError(), "exit 130"),
        (KeyboardInterrupt(), "interrupted"),
        (click.UsageError("no"), "exit 2"),
        (PikuError("no", code=2), "exit 2"),
        (ZeroDivisionError(), "exit 3"),
    ],
    ids=repr,
)
def test_how_it_failed(here: Paths, error: BaseException, outcome: str) -> None:
    """As the exit code says it."""
    with cli.make_context("piku", ["config", "shop"], obj=here) as context:
        context.invoked_subcommand = "config"
        with pytest.raises(type(error)), record.record(context, config, ["shop"]):
            raise error
    assert lines(here)[-1]["outcome"] == outcome


def test_what_a_terminal_would_obey_is_not_printed(
    here: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(["keys:remove", "\x1b]0;title\x07\nroot"])
    capsys.readouterr()
    execute(["audit"])
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "title" in shown and len(shown.splitlines()) == 1


def test_the_list(here: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    execute(["config", "shop"])
    execute(["keys:remove", "bob"])
    log = here.root / "audit.log"
    old = json.loads(log.read_text().splitlines()[0]) | {"id": "1", "at": 1e9, "app": "old"}
    log.write_text(f"{json.dumps(old)}\nnot json\n[]\n{log.read_text()}")
    for words, commands in (
        ([], ["config shop ", "keys:remove bob "]),
        (["shop"], ["config shop "]),
        (["gone"], []),
        (["--since", "9999w"], ["config old ", "config shop ", "keys:remove bob "]),
        (["old", "--since", "1h"], []),
    ):
        capsys.readouterr()
        assert execute(["audit", *words]) == 0
        shown = capsys.readouterr().out.splitlines()
        assert len(shown) == len(commands), shown
        assert all(command in line for command, line in zip(commands, shown, strict=True)), shown
    assert execute(["audit", "--since", "soon"]) == 2


def test_the_file_is_bounded_and_loses_no_line_on_the_way(
    here: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "SIZE", 20_000)
    log = here.root / "audit.log"
    entry = {"id": "x", "outcome": "y" * 100}

    def write(number: int) -> None:
        record._append(here, {**entry, "id": number})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(200)))
    # 200 lines are more than one file, and fewer than two.
    assert log.with_name("audit.log.1").exists()
    assert sorted(one["id"] for one in lines(here)) == list(range(200))
    for number in range(1000):
        write(number)
    assert sum(place.stat().st_size for place in record.places(here)) < 50_000
    assert lines(here)[-1]["id"] == 999


def test_a_command_that_cannot_be_kept_says_so_and_runs(
    here: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    (here.root / "audit.log").mkdir()
    assert execute(["config", "shop"]) == 0
    assert capsys.readouterr().err.count("this command is not on record") == 1


# --- on a server ---------------------------------------------------------------------------------


def shown(server: Sandbox, *words: str) -> list[list[str]]:
    """The rows of `piku audit`, without the time."""
    text = server.piku("audit", *words).stdout
    return [re.split(r"  +", line)[1:] for line in text.splitlines()]


def test_a_push_and_a_rollback(server: Sandbox, new_app: NewApp) -> None:
    bob = server.keygen(server.key.parent / "bob", comment="bob@home")
    server.piku("setup:ssh", f"{bob}.pub", "--name", "bob")
    app = new_app("shop")
    app.commit(version_txt="two")
    assert server.push(app.repository, "shop", key=bob).returncode == 0
    app.commit(Procfile="web: exit 3\n")
    assert server.push(app.repository, "shop", key=bob).returncode == 1
    assert server.ssh("rollback shop", key=bob).returncode == 0
    assert shown(server, "shop") == [
        ["laptop", "127.0.0.1", "git-receive-pack shop", "ok"],
        ["bob", "127.0.0.1", "git-receive-pack shop", "ok"],
        ["bob", "127.0.0.1", "git-receive-pack shop", "exit 1"],
        ["bob", "127.0.0.1", "rollback shop", "ok"],
    ]
    pushed = [line.split()[-2:] for line in app.does("releases").splitlines()]
    assert ["bob", "live"] in pushed, pushed


def test_what_becomes_another_program_or_is_killed(server: Sandbox, new_app: NewApp) -> None:
    new_app("job")
    assert server.ssh("run job 'exit 7'").returncode == 7
    with subprocess.Popen(
        [str(server.checkout / "bin/piku"), "config:set", "job", "-"],
        env=server.server_env(), stdin=subprocess.PIPE,
    ) as client:  # fmt: skip
        server.wait(lambda: len(shown(server, "job")) == 3)
        client.send_signal(signal.SIGKILL)
    outcomes = [row[-2:] for row in shown(server, "job")]
    assert outcomes[1:] == [["run job", "started"], ["config:set job", "started"]]
