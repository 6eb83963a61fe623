"""Draw the documentation's terminals from a run of the tutorial: a tar archive of SVG files."""

import io
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from sandbox import Sandbox

from tests.e2e.tutorial import PAGE, Command, File, Reader, steps

COLUMNS = 96
WIDTH, HEIGHT, MARGIN, TOP = (
    8.2,
    19,
    16,
    44,
)  # of a character, a line, and the frame, in units of the picture
FONTS = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
NO_BREAK = "\u00a0"  # of several plain spaces in a row a browser shows one

# Which commands of the page a picture has: how the command begins, and which of those it is.
PICTURES: Mapping[str, Sequence[tuple[str, int]]] = {
    "push.svg": (("git push", 1), ("curl", 2), ("ssh piku@server.example.com rollback", 0)),
    "failed-push.svg": (("git push", 2), ("curl", 3)),
}


def transcript(server: Sandbox, home: Path) -> list[tuple[str, list[str]]]:
    """Each command of the page with what it printed."""
    reader = Reader(server, home)
    found = []
    for step in steps(PAGE.read_text()):
        if isinstance(step, File):
            reader.write(step)
        elif isinstance(step, Command):
            found.append((step.line, reader.run(step)))
    return found


def lines(run: Sequence[tuple[str, list[str]]], wanted: Sequence[tuple[str, int]]) -> Iterator[str]:
    for beginning, number in wanted:
        command, printed = [pair for pair in run if pair[0].startswith(beginning)][number]
        yield f"$ {command}"
        yield from printed


def wrapped(texts: Iterator[str]) -> Iterator[str]:
    """As a terminal does it: at the last column, wherever that is."""
    for text in texts:
        yield text[:COLUMNS]
        yield from (text[i : i + COLUMNS] for i in range(COLUMNS, len(text), COLUMNS))


def svg(texts: Sequence[str]) -> str:
    width = round(COLUMNS * WIDTH + 2 * MARGIN)
    height = TOP + len(texts) * HEIGHT + MARGIN
    body = [_line(text, TOP + i * HEIGHT + 14) for i, text in enumerate(texts) if text.strip()]
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
            f' font-family="{FONTS}" font-size="13.5">',
            f'<rect width="{width}" height="{height}" rx="8" fill="#17212b"/>',
            '<g fill="#4a5a6a"><circle cx="22" cy="20" r="6"/><circle cx="42" cy="20" r="6"/>'
            '<circle cx="62" cy="20" r="6"/></g>',
            '<g fill="#d5dde5">',
            *body,
            "</g>",
            "</svg>",
            "",
        )
    )


def _line(text: str, y: int) -> str:
    """One line, as wide as it is in a terminal whatever the font, and coloured."""
    bare = text.removeprefix("remote: ")
    colour = "#7ee2a8" if text.startswith("$ ") or bare.startswith("----->") else ""
    colour = "#ff9b8e" if bare.startswith(" ! ") or text.startswith("error: ") else colour
    fill = f' fill="{colour}"' if colour else ""
    indent = len(text) - len(text.lstrip(" "))
    x, length = MARGIN + indent * WIDTH, (len(text) - indent) * WIDTH
    words = escape(text.strip()).replace(" ", NO_BREAK)
    return f'<text x="{x:g}" y="{y}" textLength="{length:g}"{fill}>{words}</text>'


def drawn() -> dict[str, str]:
    with tempfile.TemporaryDirectory(prefix="p-") as folder:
        base, home = Path(folder, "server"), Path(folder, "reader")
        base.mkdir()
        home.mkdir()
        with Sandbox(PAGE.parents[1], base) as server:
            run = transcript(server, home)
    return {name: svg([*wrapped(lines(run, wanted))]) for name, wanted in PICTURES.items()}


def main() -> None:
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
        for name, text in drawn().items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            member.mode = 0o644
            archive.addfile(member, io.BytesIO(text.encode()))


if __name__ == "__main__":
    main()
