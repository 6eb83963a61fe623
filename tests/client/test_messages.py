"""docs/messages.md: what Piku says to the commonest mistakes.

With UPDATE_DOCS=1 in the environment each test writes its part of the page anew.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator

import pytest
from sandbox import HOST, free_ports

from tests.client.laptop import ALIAS, Laptop
from tests.client.mistakes import PUSH, SECTIONS, SHOP, Mistake
from tests.e2e.support import CHECKOUT, App

PAGE = CHECKOUT / "docs/messages.md"
UPDATE = bool(os.environ.get("UPDATE_DOCS"))
MISTAKES = [mistake for mistakes in SECTIONS.values() for mistake in mistakes]
FAILING = """\
import os
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(500)

    def log_message(self, *words):
        pass


HTTPServer((os.environ["BIND_ADDRESS"], int(os.environ["PORT"])), Handler).serve_forever()
"""


class Person:
    """Somebody with a laptop, in a checkout of the app `shop`."""

    def __init__(self, laptop: Laptop) -> None:
        self._laptop = laptop
        self.folder = laptop.checkout("shop", f"{ALIAS}:shop", SHOP)
        self.commit("First version")
        self.types("git push piku main")
        self._filled = {"{port}": str(free_ports(1)[0]), "{failing}": FAILING}

    def commit(self, message: str) -> None:
        self._laptop.git(self.folder, "add", "-A")
        self._laptop.git(self.folder, "commit", "--quiet", "--allow-empty", "-m", message)

    def types(self, line: str) -> tuple[int, str]:
        """A command; its exit code, and what was read on the terminal."""
        line = re.sub(r"\bssh piku@server\b", f"ssh -F {self._laptop.ssh_config} {ALIAS}", line)
        done = subprocess.run(
            ["bash", "-c", line.replace("piku@server:", f"{ALIAS}:")],
            env={**self._laptop.env, "PATH": f"{CHECKOUT}/bin:{self._laptop.env['PATH']}"},
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False, timeout=120,
        )  # fmt: skip
        return done.returncode, done.stdout

    def makes(self, mistake: Mistake) -> tuple[int, str]:
        """What comes of a mistake; everything is as before after it."""
        for line in mistake.before:
            self.types(line)
        for name in mistake.gone:
            (self.folder / name).unlink()
        for name, text in mistake.files.items():
            (self.folder / name).write_text(self._fill(text))
        if mistake.files or mistake.gone:
            self.commit("Something new")
        code, output = self.types(mistake.command)
        self._laptop.git(self.folder, "reset", "--quiet", "--hard", ":/First version")
        if code == 0 and mistake.command == PUSH:
            self.types("git push --quiet --force piku main")  # it should have failed
        for line in mistake.after:
            self.types(line)
        return code, self._plain(output)

    def _fill(self, text: str) -> str:
        for word, value in self._filled.items():
            text = text.replace(word, value)
        return text

    def _plain(self, output: str) -> str:
        """The output without git's own lines, and without what differs from one run to another."""
        server = self._laptop.server
        lines = [line.rpartition("\r")[2] for line in output.splitlines()]
        pushed = any(line.startswith("remote: ") for line in lines)
        if pushed:
            lines = [line[8:].rstrip() for line in lines if line.startswith("remote:")]
        text = "\n".join(lines).strip("\n")
        for old, new in (
            (str(server.root), "/var/lib/piku/.piku"),
            (f":{server.http_port}/", "/"),
            (f"{server.user}@{HOST}", "piku@server"),
            (ALIAS, "piku@server"),
        ):
            text = text.replace(old, new)
        text = re.sub(rf"\b{self._filled['{port}']}\b", "3000", text)
        text = re.sub(r"--release \d+", "--release 2", text)
        if pushed:
            text = re.sub(r"\bv(?:[2-9]|[1-9]\d+)\b", "v2", text)
        text = re.sub(r"\b[0-9a-f]{8}\b", "1a2b3c4d", text)
        text = re.sub(r"(127\.0\.0\.1|\[::1\]):\d{5}\b", r"\1:20000", text)
        text = re.sub(r"\b\d+\.\d+(?= s\b|[,)] )", "0.5", text)
        return re.sub(r"python3\.\d+", "python3.11", text)


@pytest.fixture(scope="module")
def person(laptop: Laptop, new_app: Callable[..., App]) -> Iterator[Person]:
    new_app("blog")
    yield Person(laptop)


def part(title: str, page: str) -> tuple[int, int]:
    """Where the part of the page with this heading begins, and where it ends."""
    found = re.search(rf"^### {re.escape(title)}\n.*?(?=^##|\Z)", page, re.M | re.S)
    assert found is not None, f"no heading for {title!r}"
    return found.span()


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.title)
def test_mistakes(person: Person, mistake: Mistake) -> None:
    code, said = person.makes(mistake)
    for words in mistake.says:
        assert words.replace("{port}", "3000") in said, said
    assert code == mistake.code, said
    assert "Traceback" not in said or "File" in said
    shown = f"### {mistake.title}\n\n```console\n$ {mistake.command}\n{said}\n```\n\n"
    page = PAGE.read_text()
    begin, end = part(mistake.title, page)
    if UPDATE:
        page = page[:begin] + shown + page[end:]
        end = begin + len(shown)
        PAGE.write_text(page)
    assert page[begin:end].rstrip("\n") == shown.rstrip("\n"), "run it with UPDATE_DOCS=1"


def test_the_page_has_each_of_them() -> None:
    headings = re.findall(r"^### (.*)$", PAGE.read_text(), re.M)
    assert headings == [mistake.title for mistake in MISTAKES]
    assert len(headings) >= 30
