"""The table of generators: how each is recognised, and how it is told where to write."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from piku.app.tree import Tree
from piku.runtimes import node
from piku.runtimes.base import Context, parse, table


@dataclass(frozen=True, kw_only=True)
class Generator:
    """What makes a site; `install` says where its program is from.

    FOLDER in its words stands for the folder to write, CACHE in its variables for the app's.
    """

    name: str
    argv: tuple[str, ...]
    install: str = ""
    detect: Callable[[Tree], bool] = lambda _tree: True
    env: Mapping[str, str] = field(default_factory=dict)

    def variables(self, context: Context) -> dict[str, str]:
        return {name: text.replace("CACHE", str(context.cache)) for name, text in self.env.items()}

    def program(self, context: Context, folder: str) -> tuple[str, ...]:
        """The command that writes the site into this folder."""
        words = tuple(word.replace("FOLDER", folder) for word in self.argv)
        bundled = self.argv[0] == "jekyll" and "Gemfile" in context.tree.files
        return ("bundle", "exec", *words) if bundled else words


def _any(pattern: str) -> Callable[[Tree], bool]:
    return lambda tree: any(re.fullmatch(pattern, path) for path in tree.files)


def _is_zola(tree: Tree) -> bool:
    """Hugo has a config.toml as well, in which the address is `baseURL`."""
    return bool(re.search(r"^\s*base_url\s*=", tree.read("config.toml"), re.MULTILINE))


def _is_hugo(tree: Tree) -> bool:
    named = _any(r"(config/_default/)?hugo\.(toml|ya?ml|json)")(tree)
    return named or (
        _any(r"(config/_default/)?config\.(toml|ya?ml|json)")(tree)
        and any(path.startswith("content/") for path in tree.files)
    )


GENERATORS = (
    Generator(
        name="Zola",
        argv=("zola", "build", "--output-dir", "FOLDER"),
        install="its program goes into /usr/local/bin: https://www.getzola.org/documentation/",
        detect=_is_zola,
    ),
    Generator(
        name="Hugo",
        argv=("hugo", "--destination", "FOLDER"),
        install="apt-get install hugo",
        detect=_is_hugo,
        env={"HUGO_CACHEDIR": "CACHE/hugo"},
    ),
    Generator(
        name="MkDocs",
        argv=("mkdocs", "build", "--site-dir", "FOLDER"),
        install="add mkdocs to requirements.txt, or: apt-get install mkdocs",
        detect=_any(r"mkdocs\.ya?ml"),
    ),
    Generator(
        name="Eleventy",
        argv=("eleventy", "--output=FOLDER"),
        install="add it to package.json: npm install --save-dev @11ty/eleventy",
        detect=_any(r"\.eleventy\.c?js|eleventy\.config\.[cm]?[jt]s"),
    ),
    # Others have a _config.yml as well: it comes last.
    Generator(
        name="Jekyll",
        argv=("jekyll", "build", "--destination", "FOLDER"),
        install="add it to a Gemfile, or: apt-get install jekyll",
        detect=_any(r"_config\.(ya?ml|toml)"),
        env={"JEKYLL_ENV": "production"},
    ),
)


def script(context: Context, runtime: str) -> Iterator[Generator]:
    """The `build` script of package.json or deno.json, by what installs the app's packages."""
    tree = context.tree
    scripts = table(parse(tree, "package.json", json.loads), "scripts")
    if runtime == "deno":
        own = tree.read("deno.json") + tree.read("deno.jsonc")
        if "build" in scripts or re.search(r'"build"\s*:', own):
            yield Generator(name="Build", argv=("deno", "task", "build"))
    elif runtime in ("node", "bun") and "build" in scripts:
        program = "bun" if runtime == "bun" else node.chosen(context).program
        yield Generator(name="Build", argv=(program, "run", "build"))


def of(context: Context, runtime: str) -> Iterator[Generator]:
    """What may make the app's site: its own script comes first."""
    yield from script(context, runtime)
    yield from (row for row in GENERATORS if row.detect(context.tree))
