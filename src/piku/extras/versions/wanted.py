"""Which version of its language an app asks for, and in which file. Pure."""

import re
from dataclasses import dataclass

from piku.app.tree import Tree
from piku.extras.versions import ranges

_PLAIN = re.compile(r"\d+(\.\d+){0,2}")
_LTS = {"gallium": "16", "hydrogen": "18", "iron": "20", "jod": "22", "krypton": "24"}  # Node.js

_LINE = r"^[ \t]*(?:c?python-|ruby-|lts/|v)?([^\s#]\S*)"  # the first one that is no comment
_QUOTED = r"\s*[\"']([^\"']+)[\"']"


def _managers(names: str) -> tuple[tuple[str, str], ...]:
    """How asdf's and mise's files say it; the latter may have a list, or a table."""
    toml = rf"^(?:{names})\s*=(?:\s*\[|\s*\{{\s*version\s*=)?{_QUOTED}"
    tool_versions = (".tool-versions", rf"^(?:{names})[ \t]+([^\s#]+)")
    return (tool_versions, ("mise.toml", toml), (".mise.toml", toml))


# Where each language's apps say it: files, and what to find there. The first one counts.
# fmt: off
_SOURCES = {
    "python": (
        (".python-version", _LINE), ("runtime.txt", _LINE), *_managers("python"),
        ("pyproject.toml", rf"^requires-python\s*={_QUOTED}"),
        ("pyproject.toml", rf"^python\s*={_QUOTED}"),  # Poetry's
    ),
    "node": (
        (".nvmrc", _LINE), (".node-version", _LINE), *_managers("nodejs|node"),
        ("package.json", r'"engines"\s*:\s*\{[^{}]*"node"\s*:\s*"([^"]+)"'),
    ),
    "go": (
        ("go.mod", r"^toolchain\s+go(\d[\w.]*)"), ("go.mod", r"^go\s+(\d[\w.]*)"),
        *_managers("golang|go"),
    ),
    "ruby": (
        ("Gemfile", r"^\s*ruby[ (]+[\"']([^#\n)]+)[\"']"), (".ruby-version", _LINE),
        *_managers("ruby"),
    ),
    "rust": (
        ("rust-toolchain.toml", rf"^channel\s*={_QUOTED}"),
        ("rust-toolchain", rf"^channel\s*={_QUOTED}"), ("rust-toolchain", _LINE),
    ),
}
# fmt: on


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What an app asks for: in which file or setting, in which words, as which range."""

    source: str
    text: str
    range: str

    @property
    def plain(self) -> str:
        """The version, where it is one and no range."""
        return self.text if _PLAIN.fullmatch(self.text) else ""


def wanted(language: str, tree: Tree) -> Wanted | None:
    """What the first of the app's files asks for that is not open ("system", "latest")."""
    for name, pattern in _SOURCES[language]:
        for source in tree.above(name):
            found = re.search(pattern, tree.read(source), re.MULTILINE)
            if found and (want := of_text(language, source, found[1])):
                return want
    return None


def of_text(language: str, source: str, text: str) -> Wanted | None:
    """What a text means: Python or Ruby of any patch release, of the others this or a later one."""
    range_ = text = _LTS.get(text.lower(), re.sub(r"[\"']", "", text)).removeprefix("v").strip()
    if _PLAIN.fullmatch(text) and source != "Gemfile":  # which Bundler takes to the letter
        minor = ".".join(text.split(".")[:2])
        range_ = f"^{text}" if language == "node" else f">={text}"
        range_ = f"{minor}.*" if language in ("python", "ruby") else range_
    try:
        ranges.allows(range_, (0, 0, 0))
    except ValueError:
        return None
    return Wanted(source=source, text=text, range=range_) if text else None
