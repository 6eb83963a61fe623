"""A commit's files, read from a real repository."""

from __future__ import annotations

from collections.abc import Callable

from piku.app import tree
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
