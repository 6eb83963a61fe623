"""A commit's files, read from a real repository."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from piku.app import tree
from piku.errors import PikuError
from piku.paths import AppPaths

Commit = Callable[..., str]


def test_files_and_their_texts(shop: AppPaths, commit: Commit) -> None:
    first = commit(shop, {"Procfile": "web: x\n", "a/b c.txt": "text\n", "ü.txt": "ü\n"})
    found = tree.of_commit(shop.repo, first)
    assert set(found.files) == {"Procfile", "a/b c.txt", "ü.txt"}
    assert found.read("ü.txt") == "ü\n"
    assert found.read("none") == ""


def test_a_digest_follows_the_content(shop: AppPaths, commit: Commit) -> None:
    one = tree.of_commit(shop.repo, commit(shop, {"a": "1", "b": "1"}))
    two = tree.of_commit(shop.repo, commit(shop, {"a": "2", "b": "1"}))
    assert one.files["a"] != two.files["a"]
    assert one.files["b"] == two.files["b"] == one.files["a"]


def test_a_submodule_is_known_by_its_commit(shop: AppPaths, commit: Commit) -> None:
    found = tree.of_commit(
        shop.repo, commit(shop, {"Procfile": "web: x\n", "lib": f"submodule:{'ab' * 20}"})
    )
    assert found.files["lib"] == "ab" * 20


def test_bytes_that_are_no_text_are_kept(shop: AppPaths, commit: Commit) -> None:
    found = tree.of_commit(shop.repo, commit(shop, {"ENV": b"A=caf\xe9\n"}))
    assert found.read("ENV").encode(errors="surrogateescape") == b"A=caf\xe9\n"


def test_the_same_files_as_seen_from_a_folder(shop: AppPaths, commit: Commit) -> None:
    files = {
        "ENV": "A=1\n",
        "api/ENV": "A=2\n",
        "api/web/x.py": "x",
        "api/websocket": "",
        "lib/y": "y",
    }
    top = tree.of_commit(shop.repo, commit(shop, files))
    found = top.seen_from("api/web")
    assert set(found.files) == {"../../ENV", "../ENV", "x.py", "../websocket", "../../lib/y"}
    assert found.read("../ENV") == "A=2\n"
    assert found.files["x.py"] == top.files["api/web/x.py"]
    assert found.modes["x.py"] == "100644"
    assert found.above("ENV", "x.py", "y") == ["x.py", "../ENV", "../../ENV"]
    assert top.above("ENV", "none") == ["ENV"]
    assert top.seen_from("") == top


def test_a_file_that_is_too_large_is_refused_by_name_before_it_is_read(
    shop: AppPaths, commit: Commit
) -> None:
    last = commit(shop, {"ENV": "A=" + "x" * (64 << 20), "Procfile": "web: x\n"})
    with pytest.raises(PikuError, match="ENV has 64 MB, and piku reads no file of more than 5 MB"):
        tree.of_commit(shop.repo, last).read("ENV")
    program = r"""
import re, sys
from pathlib import Path
from piku.app import tree
from piku.errors import PikuError
found = tree.of_commit(Path(sys.argv[1]), sys.argv[2])
try:
    found.read("ENV")
except PikuError:
    print(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
"""
    command = [sys.executable, "-c", program, str(shop.repo), last]
    path = {"PYTHONPATH": str(Path(tree.__file__).parents[2])}
    kilobytes = subprocess.run(command, env=path, check=True, capture_output=True).stdout
    assert int(kilobytes) < 60_000


def test_many_files_and_names_of_any_bytes(shop: AppPaths, commit: Commit) -> None:
    names = {f"d{number % 100}/{number}": "x" for number in range(5000)}
    odd = {"n" * 255: "long", b"caf\xe9".decode(errors="surrogateescape"): "odd"}
    found = tree.of_commit(shop.repo, commit(shop, {**names, **odd}))
    assert len(found.files) == 5002
    assert [found.read(name) for name in odd] == ["long", "odd"]


def test_a_link_has_what_it_leads_to(shop: AppPaths, commit: Commit) -> None:
    files = {
        "requirements.txt": "link:needs/prod.txt",
        "needs/prod.txt": "flask==1\n",
        "api/Procfile": "link:../ü web.txt",
        "ü web.txt": "web: x\n",
        "twice": "link:requirements.txt",
        "missing": "link:none",
        "outside": "link:/etc/hostname",
        "folder": "link:needs",
        "circle": "link:circle",
    }
    one = tree.of_commit(shop.repo, commit(shop, files))
    assert one.read("requirements.txt") == one.read("twice") == "flask==1\n"
    assert one.seen_from("api").read("Procfile") == "web: x\n"
    assert one.files["requirements.txt"] == one.files["needs/prod.txt"]
    assert one.modes["requirements.txt"] == "120000"
    assert [one.read(name) for name in ("missing", "outside", "folder", "circle")] == [
        "none", "/etc/hostname", "needs", "circle"
    ]  # fmt: skip
    two = tree.of_commit(shop.repo, commit(shop, files | {"needs/prod.txt": "flask==2\n"}))
    assert two.files["requirements.txt"] != one.files["requirements.txt"], "built anew"


def test_a_link_to_a_file_that_is_too_large_is_refused(shop: AppPaths, commit: Commit) -> None:
    last = commit(shop, {"ENV": "link:large", "large": "A=" + "x" * (6 << 20)})
    with pytest.raises(PikuError, match="ENV has 6 MB"):
        tree.of_commit(shop.repo, last).read("ENV")
