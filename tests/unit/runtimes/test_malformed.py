"""Documents that a commit has wrong are named, whatever is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from piku import runtimes
from piku.app import procfile
from piku.app.tree import Tree
from piku.errors import PikuError
from piku.runtimes.base import Context

DEEP, LONG = "[" * 100_000, "9" * 5_000  # beyond Python's limits of nesting and of digits
JSON = ["", "{", "[]", "1", "\udcff", DEEP, LONG]
PACKAGES = [
    f'{{"{name}": {value}}}'
    for name in (
        "dependencies",
        "devDependencies",
        "optionalDependencies",
        "resolutions",
        "scripts",
    )
    for value in ('["a"]', "1", '"a"', "true")
]
TOML = ["a", "[x", "a = 1\na = 2\n", f"a = {DEEP}", f"a = {LONG}"]


def everything(name: str, text: str) -> None:
    """Ask the runtime of a commit for all that it knows before it runs a program."""
    files = {name: text, "main.go": "", "Cargo.toml": ""}
    if name != "Godeps/Godeps.json":
        del files["main.go"]
    tree = Tree(files=dict.fromkeys(files, "id"), read=lambda path: files.get(path, ""))
    folder = Path("/nowhere")
    context = Context(
        tree=tree,
        settings={"NODE_VERSION": "20"},
        checkout=folder,
        environment=folder,
        cache=folder / "app",
    )
    runtime = next(r for r in runtimes.RUNTIMES if r.detect(tree, procfile.parse("web: x")))
    if runtime.key is not None:
        runtime.key(context)
    for step in (*runtime.build(context), *runtime.compile(context)):
        assert step.argv


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("package.json", text) for text in (*JSON, *PACKAGES)),
        *(("Godeps/Godeps.json", text) for text in JSON),
        *(("pyproject.toml", text) for text in TOML),
    ],
)
def test_a_malformed_document_is_named(name: str, text: str) -> None:
    with pytest.raises(PikuError, match=f"^{name} is malformed: "):
        everything(name, text)


@pytest.mark.parametrize(
    "text",
    ["tool = 1", "project = []", "[tool]\npoetry = 1\nuv = 2", "[project]\ndependencies = 1",
     "[tool.uv]\nsources = 1\nworkspace = 1", "dependency-groups = 1", "build-system = 1"],
)  # fmt: skip
def test_what_is_no_table_is_left_to_the_tool(text: str) -> None:
    everything("pyproject.toml", text)
