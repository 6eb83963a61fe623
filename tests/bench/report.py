"""Write what `make bench` found into docs/: the tables, a file for programs, and the plots.

Rows of a run that measured only some replace those of the same name. A quick run is only shown.
"""

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import plots

DOCS = Path(__file__).resolve().parents[2] / "docs"
BEGIN, END = "<!-- measured -->\n", "<!-- end of what was measured -->\n"
ORDER = ("Push", "Commands", "Requests a second", "Latency", "Memory", "Many apps", "Changes", "A small board")  # fmt: skip

Row = Mapping[str, Any]


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def spread(values: Sequence[float]) -> str:
    """The median, and from the least to the most."""
    if not values:
        return "–"
    least, most = min(values), max(values)
    around = f" ({number(least)} to {number(most)})" if len(values) > 1 else ""
    return f"{number(statistics.median(values))}{around}"


def ratio(row: Row) -> float | None:
    floor = statistics.median(row["floor"]) if row["floor"] else 0
    return statistics.median(row["ours"]) / floor if floor else None


def reached(row: Row) -> bool | None:
    """Whether the ratio meets its target; None when it has none."""
    found, limit = ratio(row), row["limit"]
    if found is None or not limit:
        return None
    return found >= limit if row["more"] else found <= limit


def table(rows: Sequence[Row]) -> str:
    lines = ["|  | Piku | bare tools | ratio | target |", "| --- | ---: | ---: | ---: | ---: |"]
    for row in rows:
        found, good = ratio(row), reached(row)
        shown = f"{found:.2f}" if found is not None else ""
        must = f"{'≥' if row['more'] else '≤'} {row['limit']:g}" if good is not None else ""
        mark = {True: shown, False: f"**{shown}**", None: shown}[good]
        name = f"{row['name']}, {row['unit']}".removesuffix(", ").replace(", /s", "")
        lines.append(f"| {name} | {spread(row['ours'])} | {spread(row['floor'])} | {mark} | {must} |")  # fmt: skip
    return "\n".join((*lines, ""))


def text(found: Mapping[str, Any]) -> str:
    """The part of the page that is made: what the machine was, and a table for each group."""
    facts = ", ".join(f"{key} {value}" for key, value in found["machine"].items())
    rows = [row for row in found["rows"] if reached(row) is not None]
    good = sum(bool(reached(row)) for row in rows)
    out = [f"Medians, with the least and the most. The machine: {facts}. {good} of {len(rows)} figures"
           " meet their target; the others are in bold.\n"]  # fmt: skip
    for name, reason in found.get("failed", {}).items():
        out.append(f"Not measured: `{name}` ({reason.splitlines()[0]}).\n")
    order = sorted(found["rows"], key=lambda row: ORDER.index(row["group"]))
    for group, members in groupby(order, key=lambda row: row["group"]):
        out.append(f"### {group}\n\n{table(list(members))}")
        out += [f"![{alt}](img/bench-{name}.svg)\n" for name, (of, alt) in plots.PLOTS.items()
                if of == group and name in found["series"]]  # fmt: skip
    return "\n".join(out)


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    measured = {(row["group"], row["name"]) for row in new["rows"]}
    kept = [row for row in old.get("rows", ()) if (row["group"], row["name"]) not in measured]
    return {**new, "rows": [*kept, *new["rows"]], "series": {**old.get("series", {}), **new["series"]}}  # fmt: skip


def main(file: str) -> None:
    new = json.loads(Path(file).read_text())
    if new.pop("quick"):
        print(text({**new, "series": {}}))
        return
    kept = DOCS / "benchmarks.json"
    found = merged(json.loads(kept.read_text()) if kept.exists() else {}, new)
    kept.write_text(json.dumps(found, indent=1) + "\n")
    for name in plots.PLOTS.keys() & found["series"].keys():
        (DOCS / "img" / f"bench-{name}.svg").write_text(plots.draw(name, found["series"][name]))
    page = DOCS / "benchmarks.md"
    before, _, rest = page.read_text().partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{text(found)}\n{END}{rest.partition(END)[2]}")
    print(f"written: {page}")


if __name__ == "__main__":
    main(*sys.argv[1:])
