"""Bad input on the command line: one line, a hint, an exit code, and nothing changed."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from piku.cli.main import execute
from piku.paths import AppPaths, Paths


@pytest.fixture
def told(
    paths: Paths,
    shop: AppPaths,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[AppPaths]:
    """A server with one app that was never deployed, as commands find it."""
    monkeypatch.setenv("PIKU_ROOT", str(paths.root))
    monkeypatch.setenv("HOME", str(paths.home))
    shop.repo.mkdir()
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        yield shop


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("nonsense", 2, "there is no command 'nonsense'"),
        ("relases shop", 2, "there is no command 'relases'"),
        ("--nonsense", 2, "no such option"),
        ("stop", 2, "missing argument 'APP'"),
        ("ps:stop shop", 2, "missing argument"),
        ("ps:stop shop run.1", 1, "shop has no detached command 'run.1'"),
        ("run --detach shop true", 1, "shop has no live release"),
        ("ps shop more", 2, "unexpected extra argument"),
        ("ps sho", 1, "there is no app called 'sho'"),
        ("ps ../shop", 1, "'../shop' is not an app name"),
        ("ps " + "x" * 5000, 1, "is not an app name"),
        ("destroy ..", 1, "'..' is not an app name"),
        ("config:set shop BAD", 2, "argument 1 is not of the form KEY=VALUE"),
        ("config:set shop 1=2", 1, "'1' is not a setting's name"),
        ("config:set shop PATH=x", 1, "PATH is given to the app by piku"),
        ("config:set shop A=1 PIKU_NOPE=1", 1, "PIKU_NOPE is not a setting of this version of piku"),
        ("config:set shop NGINX_SERVER_NAME=a;b", 1, "'a;b' is not a host name"),
        ("config:set shop PORT=http", 1, "PORT=http: not a whole number from 1024 to 65535"),
        ("config:unset shop NOPE", 1, "'NOPE' is not set with config:set"),
        ("config:get shop NOPE", 1, "shop has no setting 'NOPE'"),
        ("config:live shop", 1, "shop has no live release"),
        ("ps:scale shop web", 2, "'web' is not of the form PROCESS=COUNT"),
        ("ps:scale shop web=-1", 2, "'web=-1' is not of the form PROCESS=COUNT"),
        ("ps:scale shop web=1.5", 2, "'web=1.5' is not of the form PROCESS=COUNT"),
        ("ps:scale shop web=101", 2, "is not of the form PROCESS=COUNT"),
        ("ps:scale shop web=²", 2, "is not of the form PROCESS=COUNT"),
        ("ps:scale shop web=" + "1" * 5000, 2, "is not of the form PROCESS=COUNT"),
        ("rollback shop", 1, "shop has no live release"),
        ("rollback shop x", 2, "'x' is not a release"),
        ("rollback shop ²", 2, "'²' is not a release"),
        ("rollback shop v" + "9" * 300, 2, "is not a release"),
        ("rollback shop " + "9" * 5000, 2, "is not a release"),
        ("logs shop --no-follow --release ²", 2, "'²' is not a release"),
        ("logs shop --no-follow --release " + "9" * 300, 2, "is not a release"),
        ("logs shop --no-follow --release 7", 1, "shop has no release v7"),
        ("logs shop --no-follow web", 1, "shop has no log of 'web'"),
        ("logs shop -n -1", 2, "invalid value"),
        ("run shop true", 1, "shop has no live release"),
        ("restart shop", 1, "shop has no live release"),
        ("setup:ssh /none", 2, "no such file or directory"),
        ("setup:ssh /dev/null", 1, "this is not one SSH public key"),
        ("keys:remove nobody", 1, "no key has the name or fingerprint 'nobody'"),
        ("up --host nowhere", 2, "invalid value for '--host'"),
        ("up --http-port 0", 2, "invalid value"),
        ("help nonsense", 2, "there is no command 'nonsense'"),
        ("git-receive-pack /../x", 1, "is not an app name"),
        ("git-upload-pack nope", 1, "there is no app called 'nope'"),
    ],
)  # fmt: skip
def test_bad_input(
    told: AppPaths, capsys: pytest.CaptureFixture[str], words: str, code: int, message: str
) -> None:
    before = sorted(str(path) for path in told.root.rglob("*"))
    assert execute(words.split(" ")) == code
    shown = capsys.readouterr()
    first = shown.err.splitlines()[0]
    assert first.startswith(" !     ")
    assert message.lower() in first.lower()
    assert len(shown.err) < 1000
    assert "Traceback" not in shown.err
    made = set(map(str, told.root.rglob("*"))) - set(before)
    assert {path.rpartition("/")[2] for path in made} <= {
        "shop",
        "shop@lock",
        "shop@activation",
        "build.log",
        "nginx.lock",
        "audit.lock",
        "audit.log",
    }
    assert not told.settings.exists()


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("restart", "write: piku restart [OPTIONS] APP; see: piku restart --help"),
        ("config:set GREETING", "write: piku config:set [OPTIONS] APP KEY=VALUE...|KEY|-;"),
        ("config:set shop GREETING", "write: piku config:set shop KEY=value OTHER='two words'"),
    ],
)
def test_what_to_type_when_an_argument_is_missing(
    told: AppPaths, capsys: pytest.CaptureFixture[str], words: str, hint: str
) -> None:
    assert execute(words.split(" ")) == 2
    assert hint in capsys.readouterr().err


def test_no_command_shows_the_list(told: AppPaths, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute([]) == 0
    assert "config:set" in capsys.readouterr().out
    assert execute(["help", "config:set"]) == 0
    assert "KEY=VALUE" in capsys.readouterr().out


def test_settings_before_the_first_push_are_kept_exactly(
    told: AppPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    value = " $HOME 'it' \"q\" a=b # é"
    assert execute(["config:set", "shop", f"A={value}", "B="]) == 0
    capsys.readouterr()
    assert execute(["config:get", "shop", "A"]) == 0
    assert capsys.readouterr().out == f"{value}\n"
    assert execute(["config", "shop"]) == 0
    assert capsys.readouterr().out == """A=" \\$HOME 'it' \\"q\\" a=b # é"\nB=\n"""
    assert told.settings.stat().st_mode & 0o777 == 0o600
    assert execute(["config:unset", "shop", "A"]) == 0
    assert execute(["config:get", "shop", "A"]) == 1
