"""Commands reach the server from a laptop, and come back as if they had run here."""

import json
import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest
from sandbox import HOST, run

from tests.client.laptop import ALIAS, Laptop
from tests.e2e.support import App, refused

NAME = "bakery"


def test_every_command_works_without_naming_the_app(
    laptop: Laptop, checkout: Path, shop: App
) -> None:
    says = laptop.says
    assert "bakery" in says(checkout, "apps", "--plain").splitlines()
    says(checkout, "config:set", "COLOUR=light  blue", "QUOTE='\"$HOME*")
    assert says(checkout, "config:get", "COLOUR") == "light  blue\n"
    assert says(checkout, "config:get", "QUOTE") == "'\"$HOME*\n"
    assert says(checkout, "config:get", "bakery", "COLOUR") == "light  blue\n"
    assert "COLOUR=light  blue" in says(checkout, "config")
    assert "COLOUR=light  blue" in says(checkout, "config", "bakery")
    assert "COLOUR=light  blue" in says(checkout, "config:live")
    says(checkout, "config:unset", "COLOUR")
    says(checkout, "config:unset", "bakery", "QUOTE")
    assert says(checkout, "config") == ""
    says(checkout, "ps:scale", "web=2")
    rows = json.loads(says(checkout, "ps", "--json"))
    assert {"web.1", "web.2", "worker.1"} <= {row["process"] for row in rows}
    says(checkout, "ps:scale", "bakery", "web=1")
    assert "tidy" in says(checkout, "cron")
    assert says(checkout, "cron:run", "tidy") == ""
    assert json.loads(says(checkout, "releases", "--json"))[0]["live"]
    assert "web.2" in says(checkout, "logs", "-n", "5", "--no-follow", "web.2")
    assert says(checkout, "logs", "--no-follow", "bakery", "build") == says(
        checkout, "logs", "build", "--no-follow"
    )
    says(checkout, "restart")
    says(checkout, "stop")
    assert shop.status() == 503
    says(checkout, "deploy", "bakery")
    assert shop.status() == 200


def test_run_hands_on_all_that_a_program_has(laptop: Laptop, checkout: Path) -> None:
    assert laptop.piku(checkout, "run", "exit 7").returncode == 7
    assert laptop.piku(checkout, "run", "exit 255").returncode == 255
    assert laptop.piku(checkout, "run", "exit 255").stderr == ""
    result = laptop.piku(checkout, "run", "echo out; echo err >&2")
    assert (result.stdout, result.stderr) == ("out\n", "err\n")
    assert laptop.says(checkout, "run", "cat", input="first\nsecond\n") == "first\nsecond\n"
    words = ("printf", "%s|", "a b", "$HOME", "*", "'", '"', "\\", "", "--app", "; ls", "é")
    assert laptop.says(checkout, "run", *words) == "a b|$HOME|*|'|\"|\\||--app|; ls|é|"
    assert laptop.says(checkout, "run", "--", "echo", "--help") == "--help\n"
    assert laptop.says(checkout, "run", "bakery", "pwd") == laptop.says(checkout, "run", "pwd")
    name = laptop.says(checkout, "run", "--detach", "sleep 60").strip()
    laptop.says(checkout, "ps:stop", name)
    data = bytes(range(256)) * 400
    sent = subprocess.run(
        [*laptop.program, "run", "cat"],
        cwd=checkout,
        env=laptop.env,
        input=data,
        capture_output=True,
        check=True,
    )
    assert sent.stdout == data


def test_what_the_server_says_comes_as_it_is(laptop: Laptop, checkout: Path) -> None:
    refused(laptop.piku(checkout, "config:get", "NOTHING"), 1, "no setting 'NOTHING'")
    refused(laptop.piku(checkout, "lgos"), 2, "did you mean 'logs'?")
    refused(laptop.piku(checkout, "ps:scale", "web=many"), 2, "PROCESS=COUNT")
    refused(laptop.piku(checkout, "ps", "nosuchapp"), 1, "no app called 'nosuchapp'")


def test_another_app_or_none(laptop: Laptop, checkout: Path, shop: App) -> None:
    refused(laptop.piku(checkout, "--app", "other", "config"), 1, "no app called 'other'")
    refused(laptop.piku(checkout, "config", env={"PIKU_APP": "other"}), 1, "no app called 'other'")
    refused(
        laptop.piku(checkout, "-aother", "config", env={"PIKU_APP": "bakery"}),
        1,
        "no app called 'other'",
    )
    # Where there is room for both, a word is what the command takes, whatever apps there are.
    refused(laptop.piku(checkout, "logs", "worker2"), 1, "worker2")
    refused(laptop.piku(checkout, "config:get", "other", "KEY"), 1, "no app called 'other'")
    refused(laptop.piku(checkout, "config:set", "bakry", "A=b"), 1, "no app called 'bakry'")
    # An empty name is none: then it is asked for, or means all.
    assert "apps" in json.loads(laptop.says(checkout, "--app=", "ps", "--json"))
    refused(laptop.piku(checkout, "-a", "", "config"), 2)


@pytest.mark.parametrize(
    "form",
    ["{user}@{host}:bakery", "ssh://{user}@{host}:{port}/bakery"],
)
def test_the_forms_of_an_address(laptop: Laptop, shop: App, form: str, tmp_path: Path) -> None:
    server = laptop.server
    remote = form.format(user=server.user, host=HOST, port=server.ssh_port)
    folder = laptop.checkout(str(tmp_path / "forms"), remote)
    if "port" not in form:
        laptop.git(
            folder,
            "config",
            "core.sshCommand",
            shlex.join([*laptop.ssh, "-p", str(server.ssh_port)]),
        )
    assert laptop.says(folder, "config:get", "NGINX_SERVER_NAME") == "bakery.localhost\n"
    # git finds the same server.
    assert laptop.git(folder, "ls-remote", "piku", "main").split()[0]


def test_git_may_rewrite_addresses(laptop: Laptop, shop: App, tmp_path: Path) -> None:
    folder = laptop.checkout(str(tmp_path / "short"), "box:bakery")
    laptop.git(folder, "config", f"url.{ALIAS}:.insteadOf", "box:")
    assert laptop.says(folder, "config:get", "NGINX_SERVER_NAME") == "bakery.localhost\n"
    folder = laptop.checkout(str(tmp_path / "push"), "https://example.com/bakery")
    laptop.git(folder, "config", f"url.{ALIAS}:.pushInsteadOf", "https://example.com/")
    assert laptop.says(folder, "config:get", "NGINX_SERVER_NAME") == "bakery.localhost\n"
    folder = laptop.checkout(str(tmp_path / "pushurl"), "https://example.com/bakery")
    laptop.git(folder, "remote", "set-url", "--push", "piku", f"{ALIAS}:bakery")
    assert laptop.says(folder, "config:get", "NGINX_SERVER_NAME") == "bakery.localhost\n"
    (folder / "below").mkdir()
    assert laptop.says(folder / "below", "config:get", "NGINX_SERVER_NAME") == "bakery.localhost\n"


def test_the_server_can_be_said_in_other_ways(
    laptop: Laptop, checkout: Path, shop: App, tmp_path: Path
) -> None:
    key = ("config:get", "NGINX_SERVER_NAME")
    assert laptop.says(tmp_path, "-r", f"{ALIAS}:bakery", *key) == "bakery.localhost\n"
    assert (
        laptop.says(tmp_path, f"--remote={ALIAS}:", "--app", "bakery", *key) == "bakery.localhost\n"
    )
    assert (
        laptop.says(tmp_path, *key, env={"PIKU_SERVER": ALIAS, "PIKU_APP": "bakery"})
        == "bakery.localhost\n"
    )
    assert "bakery" in laptop.says(tmp_path, "apps", env={"PIKU_SERVER": ALIAS})
    refused(laptop.piku(tmp_path, "config", env={"PIKU_SERVER": ALIAS}), 2)
    folder = laptop.checkout(str(tmp_path / "named"))
    laptop.git(folder, "remote", "add", "live", f"{ALIAS}:bakery")
    assert laptop.says(folder, "-r", "live", *key) == "bakery.localhost\n"
    refused(laptop.piku(folder, *key), 2, "no git remote 'piku'", "live")
    refused(laptop.piku(folder, "-r", "test", *key), 2, "no git remote 'test'", "live")


def test_the_ssh_that_git_uses(laptop: Laptop, checkout: Path, tmp_path: Path) -> None:
    config = shlex.quote(str(laptop.ssh_config))
    folder = laptop.checkout(str(tmp_path / "own"), f"{ALIAS}:bakery")
    laptop.git(folder, "config", "core.sshCommand", "false")
    assert laptop.piku(folder, "apps").returncode == 1
    assert laptop.says(folder, "apps", env={"GIT_SSH_COMMAND": f"ssh -F {config}"})
    # It is a shell's command line, as git has it.
    own = {"GIT_SSH_COMMAND": 'exec ssh -F "$OWN"', "OWN": str(laptop.ssh_config)}
    assert laptop.says(folder, "apps", env=own)
    away = f"sh -c 'exec ssh -F {config} \"$@\"' -"
    for line in (
        f"A=b ssh -F {config}",
        f"cd / && ssh -F {config}",
        away,
        f"ssh -F {config} -o 'LogLevel ERROR'",
    ):
        assert laptop.says(folder, "apps", env={"GIT_SSH_COMMAND": line})
    program = tmp_path / "ssh"
    program.write_text(f'#!/bin/sh\nexec ssh -F {config} "$@"\n')
    program.chmod(0o755)
    laptop.git(folder, "config", "--unset", "core.sshCommand")
    home = {"HOME": str(tmp_path), "GIT_SSH": str(program)}
    assert laptop.says(folder, "apps", env=home)


def test_control_c_ends_the_command_on_both_sides(
    laptop: Laptop, checkout: Path, shop: App
) -> None:
    with subprocess.Popen(
        [*laptop.program, "logs"], cwd=checkout, env=laptop.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 255  # as ssh ends

    def gone() -> bool:
        listed = run(
            ["pgrep", "-u", str(os.getuid()), "-f", "piku.*--app bakery logs"], env=laptop.env
        )
        return listed.returncode == 1

    shop.server.wait(gone, what="logs has ended on the server")


@pytest.mark.parametrize("line", ["", 'ssh -F "$OWN"'])
def test_a_client_that_is_ended_ends_ssh(laptop: Laptop, checkout: Path, line: str) -> None:
    env = {**laptop.env, "GIT_SSH_COMMAND": line, "OWN": str(laptop.ssh_config)}
    with subprocess.Popen(
        [*laptop.program, "logs"],
        cwd=checkout,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None and process.stdout.readline()
        process.terminate()
        assert process.wait(30) in (-15, 255)
        process.stdout.read()  # comes to its end: nobody holds the other side


def test_a_key_of_a_colleague_lies_on_the_laptop(laptop: Laptop, checkout: Path) -> None:
    key = laptop.server.keygen(checkout / "colleague")
    said = laptop.says(checkout, "setup:ssh", "colleague.pub", "--name", "colleague")
    assert "Key 'colleague' may push now" in said
    assert laptop.server.ssh("apps", key=key).returncode == 0
    laptop.says(checkout, "keys:remove", "colleague")
    refused(laptop.piku(checkout, "setup:ssh", "nothing.pub"), 2, "nothing.pub")
    # Whatever files there are: only what the command takes as its file is read, and no private key leaves.
    laptop.says(checkout, "setup:ssh", "--name", "colleague", "colleague.pub")
    laptop.says(checkout, "keys:remove", "colleague")
    laptop.says(
        checkout, "setup:ssh", "-", "--name", "colleague", input=Path(f"{key}.pub").read_text()
    )
    laptop.says(checkout, "keys:remove", "colleague")
    refused(
        laptop.piku(checkout, "setup:ssh", "colleague", "--name", "x"),
        1,
        "colleague is a private key",
    )


def test_a_certificate_lies_on_the_laptop(laptop: Laptop, checkout: Path, shop: App) -> None:
    words = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ]
    names = ["-subj", "/CN=bakery", "-addext", "subjectAltName=DNS:bakery.localhost"]
    made = run([*words, *names, "-out", "c.pem", "-keyout", "k.pem"], env=laptop.env, cwd=checkout)
    assert made.returncode == 0, made.stderr
    text = (checkout / "c.pem").read_text() + (checkout / "k.pem").read_text()
    (checkout / "both.pem").write_text(text)
    for given, typed in ((["both.pem"], None), (["bakery", "both.pem"], None), (["-"], text)):
        said = laptop.says(checkout, "certs:add", *given, input=typed)
        assert "bakery has a certificate of its own" in said
        shop.does("certs:remove")
    # Of another app than the checkout's, or of none.
    refused(laptop.piku(checkout, "certs:add", "other", "both.pem"), 1, "no app called 'other'")
    refused(laptop.piku(checkout, "certs:add", "gone.pem"), 2, "gone.pem")


def test_what_goes_wrong_here_is_told_in_a_line(
    laptop: Laptop, checkout: Path, tmp_path: Path
) -> None:
    refused(laptop.piku(checkout, "run", "'" * 100_000), 1)
    refused(laptop.piku(checkout, ".."), 2)
    gone = tmp_path / "here"
    gone.mkdir()
    result = run(
        ["sh", "-c", 'rmdir "$PWD"; exec "$0" apps', *laptop.program], env=laptop.env, cwd=gone
    )
    assert result.returncode == 2 and "Traceback" not in result.stderr
