"""The budgets of the code, and which of its rooms may import which.

A rule is a list of what breaks it, or a number of lines. TODAY has the rules that do not hold yet
with what there is at the moment: a figure there may only be made smaller, and its row goes when the
rule holds.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SRC = CHECKOUT / "src"
TOOLS = CHECKOUT / "tools"
MODULE, FUNCTION, WIDTH = 280, 45, 100
# From the top down: a room imports what is beside it or below it.
ROOMS = (
    ("__main__",),
    ("cli",),
    ("operate",),
    ("ssh", "deploy"),
    ("nginx", "uwsgi", "tls", "runtimes", "app"),
    ("",),  # the modules of piku itself
    ("errors", "__init__"),
)
SHARED = "extras.shared"  # what several of them use
PURE = "extras.detect.detect"  # what `piku init` and a push decide by
SERVER = {"cli", "operate", "ssh", "deploy", "nginx", "uwsgi", "tls", "runtimes", "app", "extras"}

BUDGETS: Mapping[str, int] = {
    "lines of the core": 10_000,  # docs/adr/0028-size.md
    "lines of the client": 1_000,
    "lines of tools": 2_000,
}
TODAY: Mapping[str, int] = {}
# An extra has 300 lines; those that have more, with what they may have (design: at most 600).
LARGE_EXTRAS = {
    "alerts": 600,
    "backup": 400,
    "backup_schedule": 400,
    "certs": 605,  # two clients of an authority
    "databases": 935,  # four kinds of server
    "detect": 600,
    "doctor": 900,
    "export": 400,  # documents of two engines, and the YAML of both
    "image": 610,  # a base of Debian, layers, the start of a process, umoci and skopeo
    "keys": 320,
    "languages": 400,
    "lfs": 450,
    "metrics": 355,
    "page": 600,
    "relocate": 350,
    "restore": 500,
    "sandbox": 440,
    "sources": 600,
    "swarm": 955,  # an engine: its API, logins, an agent, commands, one-off containers
    "versions": 600,
}


@dataclass(frozen=True, kw_only=True)
class Module:
    name: str  # "deploy.runbook", without "piku."
    file: Path

    @property
    def parts(self) -> list[str]:
        return self.name.split(".")

    @property
    def room(self) -> str:
        """The folder that it is in; "" for a module of piku itself, and its name for those that
        stand apart."""
        alone = {name for level in ROOMS for name in level}
        is_package = self.file.name == "__init__.py"
        top = self.parts[0]
        return top if len(self.parts) > 1 or is_package or top in alone else ""

    @property
    def lines(self) -> int:
        return len(self.file.read_text().splitlines())


@cache
def modules() -> Mapping[str, Module]:
    """Every module of piku, by its name."""
    found = {}
    for file in sorted((SRC / "piku").rglob("*.py")):
        path = file.relative_to(SRC / "piku").with_suffix("")
        parts = path.parts[:-1] if path.name == "__init__" else path.parts
        name = ".".join(parts) or "__init__"
        found[name] = Module(name=name, file=file)
    return found


def core() -> Iterator[Module]:
    return (module for module in modules().values() if module.room not in ("extras", "client"))


def statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """All statements that run, not those for the type checker alone."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.stmt):
            yield child
        yield from statements(child)


@cache
def imports(module: Module) -> frozenset[str]:
    """The modules of piku that it imports, at once or when it is used."""
    found = set()
    for node in statements(ast.parse(module.file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            for alias in node.names:
                whole = f"{base}.{alias.name}".removeprefix("piku.")
                found.add(f"piku.{whole}" if whole in modules() else base)
    inner = {name.removeprefix("piku.") for name in found if name.startswith("piku.")}
    return frozenset(inner | ({"__init__"} if "piku" in found else set()))


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = ["piku", *module.parts]
    keep = len(package) - node.level + (module.file.name == "__init__.py")
    return ".".join([*package[:keep], *([node.module] if node.module else [])])


def edges() -> Iterator[tuple[Module, Module]]:
    for module in modules().values():
        for name in sorted(imports(module)):
            if name in modules():
                yield module, modules()[name]


def level(room: str) -> int | None:
    return next((number for number, names in enumerate(ROOMS) if room in names), None)


# --- the rules --------------------------------------------------------------------------------


def lines_of_the_core() -> int:
    return sum(module.lines for module in core())


def lines_of_the_client() -> int:
    return sum(module.lines for module in modules().values() if module.room == "client")


def lines_of_tools() -> int:
    return sum(len(file.read_text().splitlines()) for file in TOOLS.iterdir() if file.is_file())


def large_extras() -> Iterator[str]:
    sizes: dict[str, int] = {}
    for module in modules().values():
        if module.room == "extras" and len(module.parts) > 1:
            sizes[module.parts[1]] = sizes.get(module.parts[1], 0) + module.lines
    for name, size in sizes.items():
        if size > LARGE_EXTRAS.get(name, 300):
            yield f"{name}: {size} lines"


def large_modules() -> Iterator[str]:
    for module in modules().values():
        if module.lines > MODULE:
            yield f"{module.name}: {module.lines} lines"


def long_functions() -> Iterator[str]:
    for module in modules().values():
        for node in ast.walk(ast.parse(module.file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > FUNCTION:
                    yield f"{module.name}.{node.name}: {length} lines"


def wide_lines() -> Iterator[str]:
    files = [module.file for module in modules().values()]
    for file in [*files, *(file for file in TOOLS.iterdir() if file.is_file())]:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if len(line) > WIDTH:
                yield f"{file.relative_to(CHECKOUT)}:{number}: {len(line)} characters"


def rooms_without_a_place() -> Iterator[str]:
    found = {module.room for module in core() if level(module.room) is None}
    yield from sorted(found)


def imports_upward() -> Iterator[str]:
    for module, other in edges():
        own, its = level(module.room), level(other.room)
        if own is not None and its is not None and its < own:
            yield f"{module.name} imports {other.name}"


def import_circles() -> Iterator[str]:
    """Each module that imports itself in the end, with those that it does so together with."""
    reached: dict[str, set[str]] = {}
    for name in modules():
        found: set[str] = set()
        left = [name]
        while left:
            new = {each for each in imports(modules()[left.pop()]) if each in modules()} - found
            found |= new
            left += new
        reached[name] = found
    for name, found in reached.items():
        if name in found:
            others = sorted(other for other in found if name in reached[other] and other != name)
            yield f"{name}, with {', '.join(others)}"


def imports_of_what_stands_apart() -> Iterator[str]:
    """The core knows no extra and no client, but for the one table that names the extras, and the
    entry point, which chooses between client and server."""
    for module, other in edges():
        if module.room in ("extras", "client") or other.room not in ("extras", "client"):
            continue
        if (module.name, other.name) not in {("extra", "extras"), ("__main__", "client.main")}:
            yield f"{module.name} imports {other.name}"


def imports_between_extras() -> Iterator[str]:
    for module, other in edges():
        both = module.room == other.room == "extras" and len(module.parts) > 1 < len(other.parts)
        if both and other.name != SHARED and module.parts[1] != other.parts[1]:
            yield f"{module.name} imports {other.name}"


def imports_of_the_server_by_the_client() -> Iterator[str]:
    for module, other in edges():
        if module.room == "client" and other.room in SERVER and other.name != PURE:
            yield f"{module.name} imports {other.name}"


def imports_of_the_server_by_what_the_client_shares() -> Iterator[str]:
    left, seen = [PURE], set[str]()
    while left:
        seen.add(name := left.pop())
        for other in imports(modules()[name]) - seen:
            if other.startswith("extras.detect."):
                left.append(other)
            elif other not in ("errors", "extras.detect"):
                yield f"{name} imports {other}"


RULES: tuple[Callable[[], int | Iterator[str]], ...] = (
    lines_of_the_core, lines_of_the_client, lines_of_tools, large_extras,
    large_modules, long_functions, wide_lines, rooms_without_a_place, imports_upward,
    import_circles, imports_of_what_stands_apart, imports_between_extras, imports_of_the_server_by_the_client,
    imports_of_the_server_by_what_the_client_shares,
)  # fmt: skip


def name_of(rule: Callable[[], object]) -> str:
    return rule.__name__.replace("_", " ")


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_rule(rule: Callable[[], int | Iterator[str]]) -> None:
    found = rule()
    broken = [] if isinstance(found, int) else list(found)
    figure = found if isinstance(found, int) else len(broken)
    allowed = TODAY.get(name_of(rule), BUDGETS.get(name_of(rule), 0))
    assert figure <= allowed, f"{name_of(rule)}: {figure}\n" + "\n".join(broken)


def test_each_figure_is_of_a_rule_that_does_not_hold() -> None:
    names = {name_of(rule) for rule in RULES}
    assert set(TODAY) <= names and set(BUDGETS) <= names
    assert all(figure > BUDGETS.get(name, 0) for name, figure in TODAY.items())
