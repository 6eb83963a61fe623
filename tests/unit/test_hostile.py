"""Whatever comes from outside is done, or refused in one line: never a fault of our own.

`make test` tries some of each kind; `make test-hostile` many more.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import re
import shlex
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, Phase, example, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from piku import __main__, dotenv, extra
from piku.app import procfile, settings, tree
from piku.cli.commands import COMMANDS
from piku.deploy import process_plan, revision
from piku.errors import PikuError
from piku.extras.sources import archive as archives
from piku.extras.webhook import answer
from piku.paths import AppName, AppPaths, Paths
from piku.ssh import keys

CASES = int(os.environ.get("HOSTILE_CASES", "100"))  # of each kind
EFFORT = effort(
    max_examples=CASES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],
    derandomize=CASES <= 1000,
)
# What has meaning to a shell, a terminal, a path, an option, a number, a configuration.
PIECES = [
    "", " ", "-", "--", "--help", "-x", "=", "KEY=value", "KEY", "=x", "web=2", "web=-1", "web=9999999999",
    "../..", "..", ".", "/", "/etc/passwd", "~", "$(id)", "`id`", "; id", "| id", "&", "*", "'", '"', "\\",
    "\n", "\r", "\t", "\x1b[31m", "\x1b]0;x\x07", "\x7f", "\x85", "\u2028", "\u202e", "é", "😀", "\udcff",
    "{", "}", "#", "%d", "{0}", "$uri", "1", "0", "-1", "9" * 30, "1e9", "0x10", "v1", "v0", "v" + "9" * 30,
    "main", "HEAD", "refs/heads/main", "--upload-pack=id", "shop", "shop.git", "-shop", "Shop", "a" * 300, "true",
    "@daily", "* * * * *", "web", "wsgi", "static", "cron-", ":", "::1", "[::]", "127.0.0.1", "x" * 5000,
]  # fmt: skip
WORDS = st.one_of(
    st.sampled_from(PIECES),
    st.lists(st.sampled_from(PIECES), min_size=2, max_size=3).map("".join),
    st.binary(max_size=20).map(os.fsdecode).filter(lambda text: "\0" not in text),
)


# --- commands -------------------------------------------------------------------------------------

# These start what does not end, ask the network, or are for the platform itself.
NOT_TRIED = ("up", "logs", "serve:nginx", "serve:emperor", "housekeeping", "update", "doctor")
# What they print is the app's, as it is, or git's; a backup is no text.
AS_IT_IS = (
    "backup",
    "config",
    "config:get",
    "config:live",
    "git-receive-pack",
    "git-upload-pack",
    "scp",
    "run",
)
TARGETS = {
    name: target
    for name, target in {**COMMANDS, **extra.commands()}.items()
    if name not in NOT_TRIED
}


def options(name: str) -> list[str]:
    command: click.Command = extra.load(TARGETS[name])
    return [word for one in command.params for word in one.opts if word.startswith("-")]


@st.composite
def lines(draw: st.DrawFn) -> tuple[str, str]:
    """A command, and the line with it as an SSH client sends it; sometimes no words at all."""
    name = draw(st.sampled_from(sorted(TARGETS)))
    if draw(st.integers(0, 19)) == 0:
        return "", draw(WORDS)
    further = WORDS | st.sampled_from([*options(name), "shop"])
    words = [name, *(["shop"] if draw(st.booleans()) else []), *draw(st.lists(further, max_size=4))]
    return name, shlex.join(words)


def asked(line: str, environment: Mapping[str, str]) -> tuple[int, str]:
    """The exit code of a process that runs this line for an SSH client (negative: a signal's), and
    what it printed."""
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if not child:
            code = 70
            with contextlib.suppress(BaseException):
                _become(output.fileno(), {**environment, "SSH_ORIGINAL_COMMAND": line})
                try:
                    __main__.main()
                except SystemExit as end:
                    code = int(end.code or 0)
                sys.stderr.flush()
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        output.seek(0)
        return code, output.read().decode(errors="replace")


def _become(output: int, environment: Mapping[str, str]) -> None:
    os.setsid()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(20)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    sys.stdin, sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.FileIO(number, mode, closefd=False), write_through=True)
        for number, mode in ((0, "r"), (1, "w"), (2, "w"))
    )
    sys.argv = ["piku"]
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture
def over_ssh(
    paths: Paths, shop: AppPaths, commit: Callable[..., str]
) -> Callable[[str], tuple[int, str]]:
    """A function: what a line comes to on a server that has an app."""
    environment = {
        "PIKU_ROOT": str(paths.root),
        "HOME": str(paths.home),
        "PATH": os.environ["PATH"],
    }

    def ask(line: str) -> tuple[int, str]:
        if not shop.repo.is_dir():
            commit(shop, {"Procfile": "worker: sleep 1000\n"})
        return asked(line, environment)

    return ask


@EFFORT
@given(line=lines())
def test_commands(
    paths: Paths, over_ssh: Callable[[str], tuple[int, str]], line: tuple[str, str]
) -> None:
    name, text = line
    code, said = over_ssh(text)
    assert code in (0, 1, 2, 128, 255), (text, code, said)
    assert "Traceback" not in said and "piku itself failed" not in said, (text, said)
    if name not in AS_IT_IS:
        shown = re.sub("\x1b\\[[0-9;:]*m|[\n\t]", "", said)  # colours may stay
        assert not re.search("[\x00-\x1f\x7f-\x9f]", shown), (text, said)
    assert {path.name for path in paths.root.parent.iterdir()} <= {"root", "home"}, text


# --- files ----------------------------------------------------------------------------------------


def refused_in_a_line(error: PikuError) -> None:
    assert error.message and error.message.isprintable() and len(error.message) < 1300, error
    assert error.hint.replace("\n", "").isprintable(), error


TEXTS = st.lists(
    WORDS | st.sampled_from(["web: ", "\n", "A=", "cron-x: ", "static: "]), max_size=12
)


@EFFORT
@given(text=TEXTS.map("".join))
@pytest.mark.parametrize(
    "read",
    [
        procfile.parse,
        lambda text: settings.check_all(dotenv.parse(text, "ENV", {"A": "1"})),
        process_plan.parse_scaling,
        AppName.parse,
    ],
    ids=["Procfile", "ENV", "SCALING", "name"],
)
def test_texts(read: Callable[[str], Any], text: str) -> None:
    try:
        read(text)
    except PikuError as error:
        refused_in_a_line(error)


@EFFORT
@given(words=st.lists(st.tuples(st.sampled_from(sorted(settings.table())), WORDS), max_size=4))
def test_settings(words: Sequence[tuple[str, str]]) -> None:
    try:
        settings.check_all(dict(words))
    except PikuError as error:
        refused_in_a_line(error)
        assert any(name in error.message for name, _ in words)


NAMES = st.binary(min_size=1, max_size=40).filter(lambda name: not {0, 47}.intersection(name))


@EFFORT
@given(names=st.dictionaries(NAMES, st.binary(max_size=60), max_size=4))
def test_names_of_files(paths: Paths, shop: AppPaths, names: Mapping[bytes, bytes]) -> None:
    """Those that git takes; a commit of them is read, or refused in a line."""
    if not shop.repo.is_dir():
        subprocess.run(["git", "init", "--quiet", "--bare", str(shop.repo)], check=True)

    def git(*words: str, given: bytes) -> bytes:
        command = ["git", "-C", str(shop.repo), *words]
        return subprocess.run(command, input=given, check=True, capture_output=True).stdout.strip()

    blobs = {name: git("hash-object", "-w", "--stdin", given=text) for name, text in names.items()}
    listing = b"".join(b"100644 blob %s\t%s\0" % (blob, name) for name, blob in blobs.items())
    made = git("mktree", "-z", given=listing).decode()
    commit = git("-c", "user.name=T", "-c", "user.email=t@t", "commit-tree", made, given=b"x")
    try:
        found = revision.read(paths, shop, commit.decode(), {}, checkout="v1")
    except PikuError as error:
        refused_in_a_line(error)
    else:
        assert {os.fsencode(path) for path in found.tree.files} == set(names)


# --- bodies and keys ------------------------------------------------------------------------------

REQUESTS = st.sampled_from([
    b'{"ref": "refs/heads/main"}', b'{"ref": 1}', b"[]", b"null", b"payload=", b"payload=%7B%7D&payload=%00",
    b"[" * 100_000, b'{"a":' * 100_000, b"9" * 10_000, b"\xff\xfe", b'"\\ud800"', b"&" * 2000,
])  # fmt: skip


@EFFORT
@example(body=b"[" * 100_000)
@example(body=b'{"ref": "refs/heads/main", "after": ' + b"[" * 900 + b"]" * 900 + b"}")
@given(body=st.one_of(REQUESTS, st.tuples(REQUESTS, st.binary(max_size=40)).map(b"".join)))
def test_bodies_of_webhooks(body: bytes) -> None:
    assert answer.is_authentic(body, {"HTTP_X_HUB_SIGNATURE_256": "sha256=\xff"}, "x") is False
    assert isinstance(answer.pushed_ref(body), str)


def archive(members: Sequence[tuple[bytes, bytes, bytes]]) -> bytes:
    """A tar of headers, each of a type and with a name and content that may not fit it."""
    made = b""
    for kind, name, content in members:
        entry = tarfile.TarInfo(os.fsdecode(name).replace("\0", "") or "x")
        entry.type, entry.size = kind, len(content)
        made += entry.tobuf(tarfile.GNU_FORMAT) + content + b"\0" * (-len(content) % 512)
    return made + b"\0" * 1024


CONTENTS = st.sampled_from([
    b"", b"12 size=abc\n", b"30 GNU.sparse.map=a,b,c,d,eee\n", b"9 path=\n", b"99 path=x\n", b"x path=y\n",
    b"21 path=../../../../x\n", b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n", b"18 comment=\xff\xfe\xfd\n",
    b"11 mtime=x\n", b"15 linkpath=/x\n",
]) | st.binary(max_size=60)  # fmt: skip
MEMBERS = st.tuples(
    st.sampled_from([bytes([each]) for each in b"0123456789gxLKSDVNX\0"]),
    st.sampled_from([b"a", b"../a", b"/a", b".git/config", b"a\nb", b'a"b', b"a/../b", b"x/y/z"])
    | st.binary(max_size=120),
    CONTENTS,
)
BODIES = st.lists(MEMBERS, max_size=5).map(archive)


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    """A repository for what archives hold."""
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "in")], check=True)
    return tmp_path / "in"


@EFFORT
@example(body=archive([(b"x", b"a", b"30 GNU.sparse.map=a,b,c,d,eee\n"), (b"0", b"a", b"x")]))
@example(body=archive([(b"x", b"a", b"9 path=x\n")] * 2000 + [(b"0", b"a", b"x")]))
@given(
    body=st.one_of(
        BODIES,
        st.binary(max_size=2000),
        BODIES.map(gzip.compress),
        st.tuples(BODIES, st.integers(0, 3000), st.binary(max_size=20)).map(
            lambda drawn: drawn[0][: drawn[1]] + drawn[2] + drawn[0][drawn[1] + len(drawn[2]) :]
        ),
    )
)
def test_archives(incoming: Path, body: bytes) -> None:
    """A commit comes of it, with no path that leads out, or none."""
    before = set(incoming.parent.iterdir())
    try:
        found = archives.commit(incoming, io.BufferedReader(io.BytesIO(body)), "", "me")
    except PikuError as error:
        refused_in_a_line(error)
    else:
        names = tree.of_commit(incoming, found.commit).files
        assert names and not [name for name in names if {"..", ".git", ""} & {*name.split("/")}]
    assert set(incoming.parent.iterdir()) == before


def test_an_archive_of_a_few_kilobytes_does_not_fill_the_memory(incoming: Path) -> None:
    body = gzip.compress(archive([(b"L", b"a", bytes(8 << 20)), (b"0", b"a", b"x")]))
    with pytest.raises(PikuError, match="a header has 8 MB"):
        archives.commit(incoming, io.BufferedReader(io.BytesIO(body)), "", "me")


KEYS = st.lists(
    WORDS | st.sampled_from([
        "ssh-ed25519", "ssh-rsa", "AAAAC3NzaC1lZDI1NTE5AAAAI", "AAAA", 'command="id"', "cert-authority", "#", " ",
        "\n", "ssh-ed25519-cert-v01@openssh.com", "-----BEGIN OPENSSH PRIVATE KEY-----", "restrict,pty",
    ]), max_size=6,
).map(" ".join)  # fmt: skip


@EFFORT
@given(text=KEYS, name=WORDS, good=st.booleans())
def test_keys(paths: Paths, text: str, name: str, good: bool) -> None:
    """One line is added, which sshd reads as piku's, or none."""
    blob = "AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
    place = keys.authorized_keys(paths)
    place.unlink(missing_ok=True)
    whole = f"ssh-ed25519 {blob} {text}" if good else text
    try:
        keys.add(paths, whole, name, ["/usr/bin/piku"], {"PIKU_ROLE": "read"})
    except PikuError as error:
        refused_in_a_line(error)
        assert not place.exists() or not place.read_text()
    else:
        [line] = os.fsdecode(place.read_bytes()).removesuffix("\n").split("\n")
        found = keys.ENTRY.fullmatch(line)
        assert found and (found["options"] or "").startswith('command="FINGERPRINT=SHA256:')
        assert '"$SSH_ORIGINAL_COMMAND\\"",no-agent'.replace('"$', '\\"$', 1) in found["options"]
