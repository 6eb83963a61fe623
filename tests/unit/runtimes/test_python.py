"""What a Python environment depends on, and which runtime an app has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from piku import runtimes
from piku.app import procfile
from piku.app.tree import Tree
from piku.errors import PikuError
from piku.files import decode
from piku.runtimes import python
from piku.runtimes.base import Context


def tree(files: Mapping[str, str]) -> Tree:
    return Tree(
        files={path: f"id of {text}" for path, text in files.items()},
        read=lambda path: files.get(path, ""),
    )


def found(requirements: str, **others: str) -> tuple[set[str], bool]:
    files = {
        "requirements.txt": requirements,
        **{k.replace("__", "/"): v for k, v in others.items()},
    }
    return python.requirement_files(tree(files))


BASE = {"requirements.txt", "base.txt"}


@pytest.mark.parametrize(
    "line",
    ["-r base.txt", "-rbase.txt", "--requirement base.txt", "--requirement=base.txt", "-c base.txt",
     "--constraint base.txt", "--constraint=base.txt", "  -r base.txt  # why", "-r ./base.txt",
     "-r x/../base.txt"],
)  # fmt: skip
def test_files_that_are_included(line: str) -> None:
    files = {"requirements.txt": f"flask\n{line}\n", "base.txt": "x"}
    assert python.requirement_files(tree(files)) == (BASE, False)


def test_includes_of_includes_are_relative_to_the_includer() -> None:
    files = {
        "requirements.txt": "-r deps/web.txt\n", "deps/web.txt": "-c ../pins.txt\n-r more/x.txt\n",
        "pins.txt": "",
        "deps/more/x.txt": "-r x.txt\n-r ../web.txt\n", "more/x.txt": "", "x.txt": "",
    }  # fmt: skip
    expected = {"requirements.txt", "deps/web.txt", "pins.txt", "deps/more/x.txt"}
    assert python.requirement_files(tree(files)) == (expected, False)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_files_in_the_encodings_that_pip_reads(encoding: str) -> None:
    text = decode("# für später\r\n-r base.txt\r\n".encode(encoding))
    files = {"requirements.txt": text, "base.txt": "x"}
    assert python.requirement_files(tree(files)) == (BASE, False)


@pytest.mark.parametrize(
    "line", ["-r https://example.com/x.txt", "-r none.txt", "-r ../../etc/passwd", "# -r base.txt"]
)
def test_what_is_not_in_the_commit_counts_for_nothing(line: str) -> None:
    files = {"requirements.txt": f"{line}\n", "base.txt": "x"}
    assert python.requirement_files(tree(files)) == ({"requirements.txt"}, False)


@pytest.mark.parametrize(
    "line",
    ["-e .", "--editable .", "--editable=.", "-e ./lib", ".", ".[web]", "./lib", "../lib", "/srv/lib",
     "file:./lib",
     "file:///srv/lib", "lib @ file:///srv/lib", "lib[x] @ file:lib", "  ./lib  ", "vendor/lib",
     "vendor/lib.whl",
     "lib-1.0-py3-none-any.whl", "lib-1.0.tar.gz", "lib.zip ; python_version > '3'", "-f wheels",
     "--find-links=wheels",
     "--find-links ./wheels"],
)  # fmt: skip
def test_what_is_installed_from_the_tree(line: str) -> None:
    assert found(f"flask\n{line}\n")[1]
    assert found("-r base.txt\n", **{"base.txt": line})[1]


@pytest.mark.parametrize(
    "line",
    ["flask", "flask==3.0", "flask>=2,<3 ; sys_platform == 'a/b'", "flask[async]~=3.0", "a.b-c_d",
     "# ./lib", "",
     "lib @ https://example.com/lib.zip", "https://example.com/a/lib-1.0.whl", "git+https://example.com/x/y.git@main",
     "git+ssh://git@example.com/x/y", "--index-url https://example.com/simple", "--no-binary :all:", "--pre",
     "-f https://example.com/wheels/", "--find-links=https://example.com/x"],
)  # fmt: skip
def test_what_is_not(line: str) -> None:
    assert not found(f"{line}\n")[1]


# --- keys ----------------------------------------------------------------------------------------


def key(files: Mapping[str, str], place: str = "/c/1", **settings: str) -> str:
    context = Context(
        tree=tree(files),
        settings=settings,
        checkout=Path(place),
        environment=Path("/e"),
        cache=Path("/k"),
    )
    assert python.PIP.key is not None
    return python.PIP.key(context)


def test_a_key_covers_what_pip_reads() -> None:
    files = {"requirements.txt": "-r base.txt\n", "base.txt": "x", "app.py": "1"}
    assert key(files) == key(files | {"app.py": "2"}, "/c/2", DATABASE_URL="x", PYTHON_VERSION="3")
    assert key(files) != key(files | {"base.txt": "y"})
    assert key(files) != key(files, PIP_INDEX_URL="https://example.com")


def test_a_local_project_has_a_key_for_each_tree_and_place() -> None:
    files = {"requirements.txt": "-e .\n", "app.py": "1"}
    assert key(files) == key(files)
    assert key(files) != key(files | {"app.py": "2"})
    assert key(files) != key(files, "/c/2")


# --- interpreters and selection ------------------------------------------------------------------


def test_an_interpreter_by_version() -> None:
    assert python.interpreter("3") == str(Path("/usr/bin/python3").resolve())
    version = Path(python.interpreter("3")).name.removeprefix("python")
    assert python.interpreter(version) == python.interpreter("3")
    with pytest.raises(PikuError, match=r"there is no python2\.8 on this server") as error:
        python.interpreter("2.8")
    assert version in error.value.hint


def test_uwsgi_has_a_plugin_for_the_default_python() -> None:
    context = Context(
        tree=tree({}), settings={}, checkout=Path(), environment=Path("/none"), cache=Path()
    )
    plugin = python.wsgi_plugin(context)
    assert (
        plugin
        == f"python{Path(python.interpreter('3')).name.removeprefix('python').replace('.', '')}"
    )


@pytest.mark.parametrize(
    ("files", "text", "name"),
    [
        (["requirements.txt"], "wsgi: a:b", "python"),
        (["requirements.txt"], "static: x", "python"),
        (["sub/requirements.txt"], "web: x", "plain"),
        ([], "web: x\nrelease: y", "generic"),
        ([], "static: x", "static"),
        ([], "worker: x", "plain"),
    ],
)  # fmt: skip
def test_which_runtime(files: list[str], text: str, name: str) -> None:
    assert runtimes.select(tree(dict.fromkeys(files, "")), procfile.parse(text)).name == name
