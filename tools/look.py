"""Take pictures of the built site in a browser at the width of a desktop and of a phone, and say what is too wide.

    make docs && tools/look.py FOLDER [PAGE...]

It needs Chromium (Debian: chromium) and writes FOLDER/PAGE-WIDTH.png. A page is too wide when it can be scrolled
sideways as a whole; tables and code may scroll within it.
"""

import functools
import http.server
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

SITE = Path(__file__).resolve().parent.parent / "build" / "site"
SIZES = ((1280, 1600), (390, 2400))
# The page in a frame of that width: a window cannot be as narrow as a phone.
FRAME = """<!doctype html><style>body {{ margin: 0 }} iframe {{ border: 0; display: block }}</style>
<iframe width={width} height={height} src="{page}" onload="
  const page = this.contentDocument.documentElement;
  const wide = page.scrollWidth > {width};
  const list = [...page.querySelectorAll('article *')].filter(e => e.getBoundingClientRect().right > {width} + 1
      && !e.closest('.md-typeset__scrollwrap, pre'));
  document.title = wide ? 'wide: ' + page.scrollWidth + ' ' + list.slice(0, 3).map(e => e.tagName + ' ' +
      e.textContent.slice(0, 30)).join(' | ') : 'fits';
"></iframe>"""


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is the base's)
        """Say nothing of each request."""


def browser(*options: str) -> str:
    with tempfile.TemporaryDirectory() as profile:
        command = [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--no-first-run", "--hide-scrollbars",
            f"--user-data-dir={profile}", "--virtual-time-budget=4000", *options,
        ]  # fmt: skip
        return subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=120
        ).stdout


def look(address: str, page: str, folder: Path) -> list[str]:
    """Take the pictures of one page; at which widths it is too wide."""
    found = []
    for width, height in SIZES:
        frame = SITE / f"look-{width}.html"
        frame.write_text(FRAME.format(width=width, height=height, page=page))
        target = folder / f"{page.removesuffix('.html').replace('/', '-')}-{width}.png"
        browser(
            f"--screenshot={target}", f"--window-size={width},{height}", f"{address}/{frame.name}"
        )
        title = re.search(r"<title>(.*?)</title>", browser("--dump-dom", f"{address}/{frame.name}"))
        frame.unlink()
        if title is None or title[1] != "fits":
            found.append(f"{page} at {width}: {title[1] if title else 'nothing is known'}")
    return found


def main(folder: Path, pages: list[str]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    chosen = pages or sorted(str(path.relative_to(SITE)) for path in SITE.rglob("*.html"))
    handler = functools.partial(Handler, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        wrong = [line for page in chosen for line in look(address, page, folder)]
        server.shutdown()
    print("\n".join(wrong) or f"{len(chosen)} pages fit")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
