"""Damaging the files in which a server keeps what it knows of an app, one at a time."""

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from sandbox import Sandbox

from tests.faults.support import App, new_app

_SETTINGS = """\
PIKU_MEMORY_LIMIT=500M
PIKU_LOG_DRAIN=syslog+tcp://127.0.0.1:9
PIKU_PERSIST=uploads
NGINX_INCLUDE_FILE=own.conf
NGINX_BASIC_AUTH='a:{SSHA}0+vqiBWKb9LMCBTQPwSdVLIATWpzYWx0'
"""
# What is not piku's: an app's own files, git's objects, what a program keeps for itself; and all
# but one of many files of one kind.
_FOREIGN = re.compile(
    r"(data|cache|plugins)/|repos/[^/]+/(objects|refs|hooks/update)|releases/[^/]+/v[0-9]+/|.*\.sock$"
    r"|.*/starts/[0-9]+/(?!web\.1)|.*/starts/[0-9]+/[^/]+\.env/(?!APP$)|logs/[^/]+/(?!build|nginx|web\.1@4)"
    r"|uwsgi/drains/[^/]+/(?!rsyslogd)|uwsgi-available/(?!.*web\.1)|.*deploy_key\.pub"
)


def state_files(root: Path, app: str) -> list[str]:
    """Every file that tells piku something of this app, and the folders that are the app's."""
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    own = {name for name in found if re.search(rf"\b{app}\b", name) and not _FOREIGN.match(name)}
    folders = {str(folder) for name in own for folder in Path(name).parents if app in str(folder)}
    return sorted(own | folders)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _other_version(path: Path) -> None:
    """A list where there was an object, and an object of unknown fields where there was none."""
    try:
        found = json.loads(path.read_text())
    except ValueError:
        found = None
    path.write_text(json.dumps([found] if isinstance(found, dict) else {"unknown": {"x": []}}))


def _another_kind(path: Path) -> None:
    """A folder with a person's file where there was a file, and a file where there was a folder."""
    if path.is_dir():
        shutil.rmtree(path)
        path.write_text("a person's\n")
    else:
        path.unlink()
        path.mkdir()
        (path / "inside").write_text("a person's\n")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_text(""),
    "cut off": _cut,
    "binary": lambda path: path.write_bytes(b"\xff\xfe\x00\x80\n\x00{\xf0" * 50),
    "other version": _other_version,
    "folder": _another_kind,
    "mode 000": lambda path: path.chmod(0),
}


@contextlib.contextmanager
def damaged(place: Path, damage: str, elsewhere: Path) -> Iterator[None]:
    """The file or folder is damaged while the block runs; `elsewhere` keeps it as it was."""
    place.rename(elsewhere)
    try:
        if elsewhere.is_dir():
            shutil.copytree(elsewhere, place, symlinks=True)
        else:
            shutil.copy2(elsewhere, place)
        DAMAGES[damage](place)
        yield
    finally:
        if place.is_dir():
            place.chmod(0o700)
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
        elsewhere.rename(place)


def prepare(server: Sandbox) -> tuple[App, App]:
    """A bystander, and an app that uses all that keeps files, on a platform that has stopped."""
    bystander = new_app(server, "bystander", "wsgi")
    victim = new_app(server, "victim", "web")
    env = (victim.repository / "ENV").read_text() + _SETTINGS
    procfile = "web: exec python3 server.py\nworker: exec sleep 1000\ncron-x: * * * * * true\n"
    own = {"Procfile": procfile, "own.conf": "add_header X-Own yes;\n", "ENV": env}
    assert victim.push(own).returncode == 0
    record = server.root / "envs" / "victim" / "source.json"
    record.write_text('{"url": "https://localhost/x", "ref": "main"}\n')
    for words in (
        ("config:set", "victim", "A=b", "UWSGI_IDLE=1"),
        ("maintenance:on", "victim"),
        ("deploy-key", "victim"),
        ("webhook", "victim"),
    ):
        result = server.piku(*words)
        assert result.returncode == 0, result.stderr
    asleep = server.root / "nginx" / "victim@asleep"
    server.wait(lambda: server.piku("housekeeping").returncode == 0 and asleep.exists())
    server.stop_platform()
    return bystander, victim
