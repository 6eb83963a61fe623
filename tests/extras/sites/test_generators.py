"""Which generator makes a site."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from piku.app.tree import Tree
from piku.extras.sites import generators
from piku.runtimes.base import Context


def commands(files: Mapping[str, str], runtime: str = "static") -> list[str]:
    tree = Tree(files=dict(files), read=lambda path: files.get(path, ""))
    context = Context(
        tree=tree, settings={}, checkout=Path("/r"), environment=Path("/e"), cache=Path("/c")
    )
    return [" ".join(row.program(context, "www")) for row in generators.of(context, runtime)]


HUGO = "hugo --destination www"
JEKYLL = "jekyll build --destination www"
SCRIPT = json.dumps({"scripts": {"build": "make"}})


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"hugo.toml": ""}, HUGO),
        ({"config/_default/hugo.yaml": ""}, HUGO),
        ({"config.yaml": "", "content/a.md": ""}, HUGO),
        ({"config.toml": 'baseURL = "/"', "content/a.md": ""}, HUGO),
        ({"config.toml": '# it\nbase_url = "/"'}, "zola build --output-dir www"),
        ({"mkdocs.yml": ""}, "mkdocs build --site-dir www"),
        ({"_config.yml": ""}, JEKYLL),
        ({"_config.yml": "", "Gemfile": ""}, f"bundle exec {JEKYLL}"),
        ({".eleventy.js": ""}, "eleventy --output=www"),
        ({"eleventy.config.mjs": ""}, "eleventy --output=www"),
    ],
)
def test_a_generator_is_known_by_its_configuration(files: Mapping[str, str], expected: str) -> None:
    assert expected in commands(files)[:1]


@pytest.mark.parametrize(
    "files", [{"config.toml": ""}, {"config.json": "", "src/a.js": ""}, {"docs/mkdocs.yml": ""}]
)
def test_other_files_are_none(files: Mapping[str, str]) -> None:
    assert commands(files) == []


def test_the_build_script_comes_first() -> None:
    files = {"package.json": SCRIPT, "_config.yml": ""}
    assert commands(files, "node") == ["npm run build", JEKYLL]
    assert commands({**files, "yarn.lock": ""}, "node") == ["yarn run build", JEKYLL]
    assert commands(files, "bun") == ["bun run build", JEKYLL]
    assert commands(files, "deno") == ["deno task build", JEKYLL]
    assert commands({"deno.jsonc": '{"tasks": {"build": "x"} /* */}'}, "deno") == [
        "deno task build"
    ]
    # Its packages are not installed for an app of another language.
    assert commands(files, "python") == [JEKYLL]
    assert commands({"package.json": "{}"}, "node") == []
