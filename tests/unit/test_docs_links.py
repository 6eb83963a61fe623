"""Links between the pages lead somewhere, also to the headings within them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import docs

PAGES = [
    *(docs.CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(docs.DOCS.rglob("*.md")),
    *sorted((docs.CHECKOUT / "examples").glob("*/README.md")),
]


def prose(page: Path) -> str:
    """What is neither a block of code nor code within a line."""
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as the site and GitHub make them."""
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower() for title in titles)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", title).strip()) for title in plain}


def broken(page: Path) -> list[str]:
    found = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        if not place.exists():
            found.append(f"{target}: there is no such file")
        elif anchor and anchor not in anchors(place):
            found.append(f"{target}: there is no such heading")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(docs.CHECKOUT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `title` here\n[a](#a-title-here) [b](#b) [c](c.md) `[d](d.md)` [e](https://e.example/e)\n"
    )
    assert broken(page) == ["#b: there is no such heading", "c.md: there is no such file"]


@pytest.mark.parametrize(
    "page", sorted(docs.DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(docs.DOCS))
)
def test_blocks_in_lists_are_indented_by_four_spaces(page: Path) -> None:
    """With fewer, as GitHub has it, the site shows them as text of the paragraph before."""
    assert re.findall(r"^ {1,3}```.*$|^ {5,7}```.*$", page.read_text(), re.M) == []
