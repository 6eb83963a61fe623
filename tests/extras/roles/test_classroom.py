"""docs/howto/classroom.md, from the table of thirty keys to the pushes of pupils."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from laptop import Completed
from sandbox import Sandbox

from tests.e2e.support import CHECKOUT, refused, wsgi

PAGE = (CHECKOUT / "docs" / "howto" / "classroom.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
NAMES = ("ann", "bob", "cem", *(f"pupil{number}" for number in range(4, 31)))


def block(words: str) -> str:
    """The commands of the page among which these are."""
    return next(text for text in BLOCKS if words in text)


def teacher(server: Sandbox, words: str) -> Completed:
    """A command of the page, as whoever administers the server gives it."""
    [line] = block(words).splitlines()
    assert line.startswith("sudo piku ")
    return server.piku(*shlex.split(line.removeprefix("sudo piku ")))


@pytest.fixture(scope="module")
def pupils(server: Sandbox) -> dict[str, Path]:
    """The keys of the class, all added."""
    keys = {name: server.keygen(server.key.parent / name, comment=name) for name in NAMES}
    table = "".join(f"{name},{key.with_suffix('.pub').read_text()}" for name, key in keys.items())
    (server.home / "class.csv").write_text(table)
    memory, _ = block("PIKU_MEMORY_LIMIT").splitlines()  # the other one needs a cgroup
    (server.root / "ENV").write_text(f"{memory}\n")
    added = teacher(server, "--csv class.csv")
    assert added.returncode == 0, added.stderr
    assert len(added.stdout.splitlines()) == 30
    return keys


def first_push(server: Sandbox, name: str, key: Path) -> Completed:
    """What the page has Ann do, done by a pupil of that name on a computer of their own."""
    script = block("git push piku main").replace("piku@school.example:", server.remote(""))
    script = re.sub(r"\bann\b", name, script.replace("school.example", "localhost"))
    desk = server.client / f"desk-of-{name}"
    desk.mkdir()
    return subprocess.run(
        ["bash", "-ec", script], cwd=desk, env=server.git_env(key), check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_a_lesson(server: Sandbox, pupils: dict[str, Path]) -> None:
    for name in NAMES[:3]:
        pushed = first_push(server, name, pupils[name])
        assert pushed.returncode == 0, pushed.stdout
        body = server.get(f"{name}-site.localhost")[2]
        assert body == f"<h1>Hello from {name}</h1>\n".encode()
    # The last of thirty is a key like the first, and a program is an app like a page.
    program = server.repository("program", wsgi("pupil30-app"))
    pushed = server.push(program, "pupil30-app", key=pupils["pupil30"])
    assert pushed.returncode == 0, pushed.stdout
    assert server.get("pupil30-app.localhost")[0] == 200
    # Bob tries another's app, another's name, and another's host name.
    desk = server.client / "desk-of-bob" / "bob-site"
    for app in ("ann-site", "ann-new"):
        said = server.push(desk, app, "main", "--force", key=pupils["bob"])
        assert said.returncode == 128, said.stdout
        assert f"the key 'bob' is for apps called 'bob-*': '{app}'" in said.stdout
    server.commit(desk, {"ENV": "NGINX_SERVER_NAME=ann-site.localhost\n"}, "Mine")
    said = server.push(desk, "bob-site", key=pupils["bob"])
    assert said.returncode == 1 and "ann-site.localhost" in said.stdout, said.stdout
    assert b"Hello from ann" in server.get("ann-site.localhost")[2]
    # Ann has three apps, as many as she may.
    for app in ("ann-2", "ann-3"):
        assert server.ssh(f"apps:create {app}", key=pupils["ann"]).returncode == 0
    said = server.push(desk, "ann-4", key=pupils["ann"])
    assert said.returncode == 128 and "may have 3 apps, and has ann-2" in said.stdout


def test_what_a_pupil_can_ask(server: Sandbox, pupils: dict[str, Path]) -> None:
    for line in block("logs ann-site --no-follow").splitlines():
        command = line.removeprefix("ssh piku@school.example ")
        done = server.ssh(command, key=pupils["ann"])
        if "rollback" in command:
            refused(done, 1, "ann-site")  # there is one release
        else:
            assert done.returncode == 0, done.stderr
        refused(server.ssh(command, key=pupils["cem"]), 1, "needs the role admin")


def test_what_the_teacher_sees(server: Sandbox, pupils: dict[str, Path]) -> None:
    rows = server.piku("audit", "--since", "12h").stdout
    assert re.search(r" bob +127\.0\.0\.1 +git-receive-pack ann-site +refused\n", rows)
    assert re.search(r" ann +127\.0\.0\.1 +git-receive-pack ann-site +ok\n", rows)
    assert " ann " in server.piku("releases", "ann-site").stdout
    key = server.keygen(server.home / "smith", comment="smith")
    assert teacher(server, "smith.pub").returncode == 0
    assert "bob-site" in server.ssh("status", key=key).stdout
    refused(server.ssh("stop bob-site", key=key), 1, "needs the role admin")


def test_a_pupil_who_joins_later(server: Sandbox, pupils: dict[str, Path]) -> None:
    key = server.keygen(server.key.parent / "zoe", comment="zoe")
    with (server.home / "class.csv").open("a") as table:
        table.write(f"zoe,{key.with_suffix('.pub').read_text()}")
    said = teacher(server, "--csv class.csv").stdout.splitlines()
    assert sum(line.endswith("is here already") for line in said) == 30
    assert "'zoe' has the role deploy for zoe-*" in said[-1]
    removed = server.piku("keys:remove", "ann")
    assert removed.returncode == 0
    assert server.ssh("ps ann-site", key=pupils["ann"]).returncode == 255
