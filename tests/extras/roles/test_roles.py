"""Which key may do what: the table, and what decides by it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import click
import pytest

from piku import extra
from piku.cli import main
from piku.cli.commands import COMMANDS
from piku.errors import PikuError
from piku.extras.roles import roles
from piku.paths import AppName, Paths

Asks = Callable[..., Paths]


@pytest.fixture
def asks(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Asks:
    """A function that asks for a command as sshd would for a key of this role; the server as the
    command sees it. Raises PikuError if it is refused."""

    def ask(role: str, line: str, apps: str = "ann-*", **limits: str) -> Paths:
        variables = {"NAME": "ann", "FINGERPRINT": "SHA256:x", "SSH_ORIGINAL_COMMAND": line}
        variables |= {"PIKU_ROLE": role, "PIKU_APPS": apps, "PIKU_ROOT": str(paths.root), **limits}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with ExitStack() as around:
            context = around.enter_context(main.cli.make_context("piku", line.split(), obj=paths))
            context.meta[main.__name__] = around.enter_context(ExitStack())
            words = line.split()
            main.cli.resolve_command(context, words[2:] if words[0][0] == "-" else words)
            seen: Paths = context.obj
            return seen

    for name in ("ann-site", "bob-site"):
        (paths.root / "repos" / name).mkdir()
    return ask


def test_every_command_has_a_role() -> None:
    known = {*COMMANDS, *extra.commands()}
    assert known == set(roles.COMMANDS), "add its row to COMMANDS in piku/extras/roles/roles.py"
    with click.Context(main.cli) as context:
        for name, flag in roles.WORDS:
            command = main.cli.find(context, name)
            assert flag[:2] != "--" or any(flag in one.opts for one in command.params), flag
        for name, role in roles.COMMANDS.items():
            command = main.cli.find(context, name)
            taken = [one.name for one in command.params if isinstance(one, click.Argument)]
            if role != roles.ADMIN and taken and name != "help":
                assert taken[0] in ("app", "path"), f"{name}: of which app, nobody would know"


@pytest.mark.parametrize(
    ("role", "line", "needed"),
    [
        ("read", "git-receive-pack 'ann-site'", "deploy"),
        ("read", "git-lfs-transfer 'ann-site' upload", "deploy"),
        ("read", "restart ann-site", "deploy"),
        ("read", "deploy ann-site --archive -", "deploy"),
        ("read", "apps:create ann-new", "deploy"),
        ("deploy", "run ann-site env", "admin"),
        ("deploy", "config ann-site", "admin"),
        ("deploy", "config:live ann-site", "admin"),
        ("deploy", "config:get ann-site PASSWORD", "admin"),
        ("deploy", "-a ann-site config:set A=b", "admin"),
        ("deploy", "--app ann-site run env", "admin"),
        ("deploy", "deploy ann-site --from https://example.com/x.git", "admin"),
        ("deploy", "deploy --from=https://example.com/x.git ann-site", "admin"),
        ("deploy", "pull ann-site --webhook", "admin"),
        ("deploy", "webhook ann-site", "admin"),
        ("deploy", "destroy ann-site --force", "admin"),
        ("deploy", "setup:ssh -", "admin"),
        ("deploy", "keys:add eve --role admin", "admin"),
        ("deploy", "git-hook ann-site", "admin"),
        ("deploy", "scp -t .", "admin"),
        ("deploy", "scp --sftp", "admin"),
        ("deploy", "update", "admin"),
    ],
)
def test_a_role_that_is_too_low(asks: Asks, role: str, line: str, needed: str) -> None:
    with pytest.raises(PikuError) as error:
        asks(role, line.replace("'", ""))
    assert f" needs the role {needed}: the key 'ann' has the role {role}" in error.value.message
    assert not error.value.hint, "one line"


@pytest.mark.parametrize(
    "line",
    [
        "git-receive-pack bob-site",
        "git-receive-pack /bob-site.git",
        "git-upload-pack bob-site",
        "git-lfs-transfer bob-site upload",
        "restart bob-site",
        "restart ann",
        "restart Ann-site",
        "rollback -- bob-site ann-site",
        "logs -n 5 bob-site ann-site",
        "logs --release ann-site bob-site",
        "-a bob-site logs",
        "-a bob-site logs ann-site",
        "releases bob-site",
        "ps bob-site",
        "ps --json bob-site",
        "deploy --archive - bob-site",
        "apps:create bob-new",
        "doctor --url /x bob-site",
    ],
)
def test_the_apps_of_others(asks: Asks, line: str) -> None:
    """Wherever a command has its app, and however it is named."""
    with pytest.raises(PikuError) as error:
        asks("deploy", line)
    assert "the key 'ann' is for apps called 'ann-*': " in error.value.message
    assert error.value.message.endswith(" needs the role admin") and not error.value.hint


def test_what_is_not_an_app(asks: Asks) -> None:
    for line in ("git-receive-pack ../bob-site", "git-receive-pack ann-/../bob-site"):
        with pytest.raises(PikuError, match="is not an app name"):
            asks("deploy", line)
    with pytest.raises(PikuError, match="name one after 'doctor'"):
        asks("read", "doctor")


@pytest.mark.parametrize(
    "line",
    [
        "git-receive-pack ann-site", "git-receive-pack /ann-new.git", "git-upload-pack ann-site",
        "git-lfs-transfer ann-site upload", "deploy ann-site --archive -", "restart ann-site",
        "rollback ann-site v1", "logs ann-site", "releases ann-site", "apps:create ann-new", "help",
        "-a ann-site restart", "pull ann-site",
    ],
)  # fmt: skip
def test_what_a_deploy_key_is_for(asks: Asks, line: str) -> None:
    asks("deploy", line)


def test_a_read_key_looks_at_the_apps_that_it_is_for(asks: Asks) -> None:
    for line in ("apps", "ps", "status"):
        assert asks("read", line).app_names() == ["ann-site"]
        assert asks("read", line, apps="*").app_names() == ["ann-site", "bob-site"]
    for line in ("git-upload-pack ann-site", "git-lfs-transfer ann-site download"):
        asks("read", line)
    asks("read", "logs bob-site", apps="*")
    asks("read", "doctor", apps="*")


def test_an_administrator_and_what_is_no_role(asks: Asks) -> None:
    for line in ("run bob-site env", "config bob-site", "scp -t .", "deploy bob-site --from x"):
        asks("admin", line)
    for role in ("root", "Admin", "admin "):
        with pytest.raises(PikuError, match="needs the role read"):
            asks(role, "apps")


def test_a_plugins_command_needs_an_administrator() -> None:
    assert roles.needs("size", ["ann-site"]) == ("admin", "size")


def test_how_many_apps_and_how_much_of_the_disk(asks: Asks, paths: Paths) -> None:
    asks("deploy", "git-receive-pack ann-site", PIKU_MAX_APPS="1")
    for line in (
        "git-receive-pack ann-two",
        "apps:create ann-two",
        "git-lfs-transfer ann-two upload",
    ):
        with pytest.raises(PikuError, match="may have 1 app, and has ann-site"):
            asks("deploy", line, PIKU_MAX_APPS="1")
    asks("deploy", "git-receive-pack ann-two", PIKU_MAX_APPS="2")
    data = paths.app(AppName("ann-site")).data
    data.mkdir(parents=True)
    (data / "film").write_bytes(b"x" * 3 * 2**20)
    asks("deploy", "git-receive-pack ann-site", PIKU_MAX_DISK=str(8 * 2**20))
    with pytest.raises(PikuError, match="your apps take 3 MB of the disk, and may take 2 MB"):
        asks("deploy", "git-receive-pack ann-site", PIKU_MAX_DISK=str(2 * 2**20))
    asks("deploy", "rollback ann-site", PIKU_MAX_DISK=str(2 * 2**20))


def test_without_the_extra_a_key_with_a_role_may_nothing(
    asks: Asks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not everything: who removes the extra must not make administrators of all pupils."""
    monkeypatch.setattr(extra, "installed", lambda **_: ())
    with pytest.raises(PikuError, match="this server does not know the role 'read' of your key"):
        asks("read", "apps")
