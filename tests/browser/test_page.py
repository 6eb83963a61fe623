"""The status page in a real browser: with no app, three and sixty, in each state, wide and narrow,
light and dark. PICTURES names a folder for what it looks like."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from piku.deploy.releases import FAILED, SUCCEEDED, Release
from piku.extras.metrics import history
from piku.extras.metrics.history import DAY, HOUR, STEP, Sample
from piku.extras.page import html
from piku.extras.page.view import AppView, ServerView
from piku.operate.ps import Row
from piku.paths import TEMPLATES

NOW = int(time.time())
STATES = (
    "up",
    "crashing",
    "down",
    "unknown",
    "asleep",
    "static",
    "stopped",
    "never live",
    "no process",
)
NAMES = ("shop", "blog", "a-name-as-long-as-names-of-apps-may-be-which-is-sixty-three-1234567")
HOSTILE = '<img src=x onerror="alert(1)">\x1b[31m & "quoted" ' + "unbroken" * 30


def app(number: int) -> AppView:
    name = NAMES[number] if number < len(NAMES) else f"app-{number}"
    state = STATES[number % len(STATES)]
    row = Row(process="web.1", release=3, pid=1, state=state, uptime=5000, memory=57 << 20)
    failed = state == "crashing"
    deploys = [
        Release(
            number=n, kind="push", description=HOSTILE if n == 3 else f"Change {n}",
            commit="0" * 40, by="ada (SHA256:x)", created=NOW - 400 * (4 - n), ended=NOW - 395 * (4 - n),
            outcome=FAILED if failed and n == 3 else SUCCEEDED, reason="it did not start" * failed,
        )
        for n in (3, 2, 1)
    ]  # fmt: skip
    return AppView(
        name=name, state=state, release=3, url=f"https://{name}.example.com/", rows=[row],
        days=number, error=HOSTILE if state == "unknown" else "", deploys=deploys,
        log=[HOSTILE] * 5 if failed else (),
        history=[
            (title, span, (step, history.figures(samples(span, step, number), step)))
            for title, span, step in (("Last day", DAY, STEP), ("Last month", 30 * DAY, HOUR))
        ],
    )  # fmt: skip


def samples(span: int, step: int, seed: int) -> list[Sample]:
    """Figures that go up and down, with a gap and a point that stands alone."""
    found = []
    for number, at in enumerate(range(NOW - span, NOW, step)):
        if 100 < number < 130 and number != 115:
            continue
        wave = (number * (seed + 3)) % 97
        found.append(
            Sample(
                at=at - at % step, requests=wave * 3, errors=wave // 60, p50=wave / 900,
                p95=wave / 300, memory=57_000 + wave * 100, cpu=wave / 50,
            )
        )  # fmt: skip
    return found


def written(folder: Path, count: int) -> Path:
    """The files of the page of a server with so many apps, as housekeeping writes them."""
    view = ServerView(
        name="garage", now=NOW, load=0.4, memory=4 << 30, available=3 << 30, disk=32 << 30,
        free=20 << 30, apps=[app(number) for number in range(count)],
    )  # fmt: skip
    (folder / "index.html").write_text(html.overview(view))
    (folder / "style.css").write_text((TEMPLATES / "page.css").read_text())
    (folder / "metrics.prom").write_text(html.prometheus(view))
    for one in view.apps:
        (folder / f"app-{one.name}.html").write_text(html.app_page(view, one))
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("count", [0, 3, 60])
def test_overview(browser: Browser, tmp_path: Path, count: int, width: int, scheme: str) -> None:
    looks_well(browser, written(tmp_path, count) / "index.html", f"page-{count}-{width}-{scheme}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("number", range(len(STATES)), ids=STATES)
def test_app(browser: Browser, tmp_path: Path, number: int, width: int, scheme: str) -> None:
    file = written(tmp_path, len(STATES)) / f"app-{app(number).name}.html"
    looks_well(browser, file, f"app-{number}-{width}-{scheme}")


def looks_well(browser: Browser, file: Path, name: str) -> None:
    """See that nothing is wider than the window, that nothing is asked of another host or refused,
    and that axe finds nothing serious."""
    width, scheme = name.split("-")[-2:]
    context = browser.new_context(
        viewport={"width": int(width), "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    page, said, asked = context.new_page(), list[str](), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=Path(folder, f"{name}.png"), full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= int(width)
    assert said == []
    assert asked == [file.as_uri(), file.with_name("style.css").as_uri()]
    assert serious(page) == []
    context.close()


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found
            if one["impact"] in ("serious", "critical")]  # fmt: skip
