"""What a shell offers: commands, options, apps, processes, settings, files."""

import json
import os
import shutil
from pathlib import Path

import pytest
from sandbox import run

from tests.client.laptop import ALIAS, Laptop
from tests.e2e.support import App
from tests.e2e.terminal import Terminal

NAME = "store"


@pytest.fixture(scope="module")
def programs(laptop: Laptop) -> Path:
    """A folder that has piku, as on a laptop's PATH."""
    folder = laptop.home / "bin"
    folder.mkdir()
    (folder / "piku").symlink_to(laptop.program[0])
    return folder


def offered(laptop: Laptop, folder: Path, *words: str) -> list[str]:
    said = laptop.says(folder, "complete", *words)
    return [line.split("\t")[0] for line in said.splitlines()]


def test_what_is_offered(laptop: Laptop, checkout: Path, shop: App) -> None:
    shop.does("config:set", "COLOUR=blue")
    shutil.rmtree(laptop.home / ".cache", ignore_errors=True)
    assert offered(laptop, checkout, "conf") == [
        "config", "config:get", "config:set", "config:unset", "config:live", "config:push", "config:pull",
    ]  # fmt: skip
    assert offered(laptop, checkout, "--a") == ["--app"]
    assert {"logs", "init", "shell"} <= set(offered(laptop, checkout, ""))
    assert "git-receive-pack" not in offered(laptop, checkout, "")
    assert offered(laptop, checkout, "logs", "w") == ["web", "worker"]
    assert offered(laptop, checkout, "logs", "store", "w") == ["web", "worker"]
    assert offered(laptop, checkout, "logs", "-n", "") == []
    assert offered(laptop, checkout, "logs", "-n", "5", "wo") == ["worker"]
    assert offered(laptop, checkout, "logs", "--no") == ["--no-follow"]
    assert offered(laptop, checkout, "ps:scale", "w") == ["web=", "worker="]
    assert offered(laptop, checkout, "ps:scale", "web=2", "wo") == ["worker="]
    assert offered(laptop, checkout, "cron:run", "") == ["tidy"]
    assert offered(laptop, checkout, "config:unset", "CO") == ["COLOUR"]
    assert offered(laptop, checkout, "config:set", "CO") == ["COLOUR="]
    assert offered(laptop, checkout, "-a", "st") == ["store"]
    assert offered(laptop, checkout, "-r", "") == ["piku"]
    assert offered(laptop, checkout, "completion", "") == ["bash", "zsh", "fish"]
    assert offered(laptop, checkout, "config:push", "--no") == ["--no-restart"]
    (checkout / "photos").mkdir()
    (checkout / "photos" / "one.jpg").touch()
    assert offered(laptop, checkout, "upload", "pho") == ["photos/"]
    assert offered(laptop, checkout, "upload", "photos/o") == ["photos/one.jpg"]
    assert offered(laptop, checkout, "no-such-command", "") == []
    # Without an app of the checkout, apps come first.
    outside = ("-r", f"{ALIAS}:", "logs")
    assert offered(laptop, checkout, *outside, "") == ["store"]
    assert offered(laptop, checkout, *outside, "store", "we") == ["web"]


def test_names_are_kept_for_a_while_and_values_never(
    laptop: Laptop, checkout: Path, shop: App
) -> None:
    shop.does("config:set", "SECRET_WORD=swordfish")
    shutil.rmtree(laptop.home / ".cache", ignore_errors=True)
    assert offered(laptop, checkout, "config:get", "SECRET") == ["SECRET_WORD"]
    [kept] = (laptop.home / ".cache" / "piku").iterdir()
    text = kept.read_text()
    assert "SECRET_WORD" in json.loads(text)["apps"]["store"]["settings"]
    assert "swordfish" not in text
    assert kept.stat().st_mode & 0o077 == 0
    # ssh is not asked again, until what is kept is too old.
    gone = {"GIT_SSH_COMMAND": "false"}
    broken = laptop.checkout("away", f"{ALIAS}:store")
    laptop.git(broken, "config", "core.sshCommand", f"{' '.join(laptop.ssh)} -v")
    kept.write_text(text.replace("SECRET_WORD", "OTHER_WORD"))
    assert offered(laptop, checkout, "config:get", "OTHER") == ["OTHER_WORD"]
    os.utime(kept, (1, 1))
    assert offered(laptop, checkout, "config:get", "OTHER") == []
    assert offered(laptop, checkout, "config:get", "SECRET") == ["SECRET_WORD"]
    # A server that cannot be asked costs the names of apps, and says nothing.
    result = laptop.piku(checkout, "complete", "lo", env=gone)
    assert (result.returncode, result.stderr) == (0, "")
    assert "logs\t" in result.stdout


def test_on_the_server_itself(laptop: Laptop, shop: App) -> None:
    said = laptop.server.piku("complete", "logs", "store", "w").stdout
    assert [line.split("\t")[0] for line in said.splitlines()] == ["web", "worker"]
    assert laptop.server.piku("complete", "config", "").stdout.split() == ["store"]


def shell(laptop: Laptop, folder: Path, programs: Path, *argv: str) -> list[str]:
    result = run(argv, env={**laptop.env, "PATH": f"{programs}:{laptop.env['PATH']}"}, cwd=folder)
    assert result.returncode == 0, result.stderr
    return sorted(result.stdout.split("\n"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [("piku conf", ["config", "config:get", "config:live", "config:pull", "config:push", "config:set", "config:unset"]),
     ("piku config:g", ["get"]), ("piku logs w", ["web", "worker"]), ("piku ps:scale ", ["web=", "worker="]),
     ("piku ps:scale web=2 wo", ["worker="]), ("piku -a st", ["store"])],
)  # fmt: skip
def test_bash(
    laptop: Laptop, checkout: Path, shop: App, programs: Path, line: str, expected: list[str]
) -> None:
    script = 'eval "$(piku completion bash)"; COMP_LINE=$1 COMP_POINT=${#1}; _piku piku; printf "%s\\n" "${COMPREPLY[@]}"'
    assert shell(laptop, checkout, programs, "bash", "--norc", "-c", script, "bash", line) == [
        "",
        *expected,
    ]


ODD = ("zz*", "zzb", "my file's.txt", 'my "own".txt', "$(touch oops)", "a=b c", "x@y.txt")


@pytest.fixture(scope="module")
def odd(checkout: Path) -> Path:
    """A folder with files whose names mean something to a shell, and the remote of the checkout."""
    for name in ODD:
        (checkout / name).touch()
    return checkout


@pytest.mark.parametrize(
    ("line", "shown"),
    [("piku upload zz", [r"zz\*", "zzb"]), ("piku upload my", [r"my\ \"own\".txt", r"my\ file\'s.txt"]),
     (r"piku upload my\ f", [r"my\ file\'s.txt"]), ('piku upload "my f', ["my file's.txt"]),
     (r'piku upload "my \"', [r'my \"own\".txt']), ("piku upload 'my f", ["my file's.txt"]),
     (r"piku upload one \$", [r"\$\(touch\ oops\)"]), ("piku upload a=", [r"b\ c"])],
)  # fmt: skip
def test_bash_with_names_that_need_quotes(
    laptop: Laptop, odd: Path, shop: App, programs: Path, line: str, shown: list[str]
) -> None:
    test_bash(laptop, odd, shop, programs, line, shown)


@pytest.mark.parametrize(
    ("typed", "name"),
    [(r"zz\*", "zz*"), (r"my\ f", "my file's.txt"), (r'"my \"', 'my "own".txt'), ("'my \"", 'my "own".txt'),
     ("a", "a=b c"), ("a=", "a=b c"), ("x@", "x@y.txt"), ("x", "x@y.txt")],
)  # fmt: skip
def test_what_bash_makes_of_it(
    laptop: Laptop, odd: Path, shop: App, programs: Path, typed: str, name: str
) -> None:
    """In its line editor; what is called then is not piku, but a function that says what it got."""
    env = {**laptop.env, "PATH": f"{programs}:{laptop.env['PATH']}", "PS1": "% "}
    with Terminal(laptop.server, program=["bash", "--norc", "-i"], env=env, cwd=odd) as terminal:
        terminal.types('eval "$(piku completion bash)"; echo three""four\n')
        terminal.wait_for("^threefour")
        terminal.types(f"piku upload {typed}\t")
        terminal.types('\x01false || printf "<%s>\\n" \n')
        assert terminal.wait_for(r"^<piku>\r\n<upload>\r\n<(.*)>")[1] == name
    assert not (odd / "oops").exists()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("piku config:g", ["config:get"]),
        ("piku logs w", ["web", "worker"]),
        ("piku ps:scale w", ["web=", "worker="]),
    ],
)
def test_fish(
    laptop: Laptop, checkout: Path, shop: App, programs: Path, line: str, expected: list[str]
) -> None:
    script = "piku completion fish | source; complete -C $argv[1]"
    said = shell(laptop, checkout, programs, "fish", "--no-config", "-c", script, line)
    assert [one.split("\t")[0] for one in said if one] == expected


@pytest.mark.parametrize(
    ("line", "shown"),
    [("piku config:g", "et"), ("piku logs store wo", "rker"), ("piku ps:scale wo", "rker="),
     ("piku logs w", r"web +worker"), (r"piku upload my\ f", r"ile\\'s\.txt")],
)  # fmt: skip
def test_zsh(laptop: Laptop, odd: Path, shop: App, programs: Path, line: str, shown: str) -> None:
    # It completes in its line editor alone, where somebody types Tab.
    env = {**laptop.env, "PATH": f"{programs}:{laptop.env['PATH']}"}
    with Terminal(laptop.server, program=["zsh", "-f", "-i"], env=env, cwd=odd) as terminal:
        terminal.types("PS1='%% '; autoload -Uz compinit; compinit -u -D; print one''two\n")
        terminal.wait_for("^onetwo")
        terminal.types("eval \"$(piku completion zsh)\"; print three''four\n")
        terminal.wait_for("^threefour")
        terminal.types(f"{line}\t\t")
        terminal.wait_for(shown)
