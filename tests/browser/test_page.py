"""The status page in a real browser: with no app, three and sixty, in each state, wide and narrow,
light and dark. PICTURES names a folder for what it looks like, and for the two of docs/img."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import pi, sin
from pathlib import Path
from urllib.parse import urljoin

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from sandbox import Sandbox

from piku.deploy.releases import FAILED, SUCCEEDED, Release
from piku.extras.metrics import history
from piku.extras.metrics.history import DAY, HOUR, STEP, Sample
from piku.extras.page import html
from piku.extras.page.html import Span
from piku.extras.page.view import AppView, ServerView
from piku.operate.ps import Row
from piku.paths import TEMPLATES
from tests.e2e.conftest import NewApp

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


def app(number: int, *, said: str = HOSTILE) -> AppView:
    name = NAMES[number] if number < len(NAMES) else f"app-{number}"
    state = STATES[number % len(STATES)]
    row = Row(process="web.1", release=3, pid=1, state=state, uptime=5000, memory=57 << 20)
    if state == "crashing":
        row = replace(row, restarts=12, exit_code=7, last_lines=(said,) * 2)
    failed = state == "crashing"
    deploys = [
        Release(
            number=n, kind="push", description=said if n == 3 else f"Change {n}",
            commit="0" * 40, by="ada (SHA256:x)", created=NOW - 4000 * (4 - n) - 700 * number,
            ended=NOW - 4000 * (4 - n) - 700 * number + 3 + n,
            outcome=FAILED if failed and n == 3 else SUCCEEDED, reason="it did not start" * (failed and n == 3),
        )
        for n in (3, 2, 1)
    ]  # fmt: skip
    return AppView(
        name=name, state=state, release=3, url=f"https://{name}.example.com/", rows=[row],
        days=number, expires=number < 5, certificate="self-signed" if number == 6 else "",
        error=said if state == "unknown" else "", deploys=deploys,
        log=[said] * 5 if failed else (),
        hour=history.figures(samples(3600, STEP, number), STEP, NOW),
    )  # fmt: skip


def spans(number: int) -> Iterator[Span]:
    for title, seconds, step in (("Last day", DAY, STEP), ("Last month", 30 * DAY, HOUR)):
        series = history.figures(samples(seconds, step, number), step, NOW)
        yield Span(title=title, seconds=seconds, step=step, series=series)


def noise(number: int) -> float:
    """Of 0 to 1; the same for each number."""
    return sin(number * 12.9898) * 43758.5453 % 1


def samples(span: int, step: int, seed: int) -> list[Sample]:
    """Figures that go up and down with the day, with a gap and a point that stands alone."""
    found = []
    for number, at in enumerate(range(NOW - span, NOW, step)):
        if 100 < number < 130 and number != 115:
            continue
        day = (1 + sin((at + 20000 * seed) / DAY * 2 * pi)) / 2
        wave = 20 + 70 * day + noise(number + seed) * 12
        found.append(
            Sample(
                at=at - at % step, requests=int(wave * step / 60), errors=int(noise(number) > 0.99) * 2,
                p50=wave / 2000, p95=(wave + noise(number) * 30) / 600,
                memory=int(57_000 + wave * 100), cpu=wave / 400 * step,
            )
        )  # fmt: skip
    return found


def written(folder: Path, apps: Sequence[AppView]) -> Path:
    """The files of the page of a server with these apps, as housekeeping writes them."""
    view = ServerView(
        name="garage", now=NOW, load=0.4, memory=4 << 30, available=3 << 30, disk=32 << 30,
        free=20 << 30, full=False, apps=apps,
    )  # fmt: skip
    (folder / "index.html").write_text(html.overview(view))
    (folder / "style.css").write_text((TEMPLATES / "page.css").read_text())
    (folder / "metrics.prom").write_text(html.prometheus(view))
    for number, one in enumerate(view.apps):
        page = html.app_page(view, one, spans(number))
        (folder / f"app-{one.name}.html").write_text(page)
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
    url = written(tmp_path, [app(number) for number in range(count)]).as_uri()
    looks_well(browser, f"{url}/index.html", f"page-{count}", width, scheme)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("number", range(len(STATES)), ids=STATES)
def test_app(browser: Browser, tmp_path: Path, number: int, width: int, scheme: str) -> None:
    url = written(tmp_path, [found := app(number)]).as_uri()
    looks_well(browser, f"{url}/app-{found.name}.html", f"app-{number}", width, scheme)


def test_on_a_server(browser: Browser, server: Sandbox, new_app: NewApp) -> None:
    """As nginx sends it: with its headers, which the browser obeys, and behind the password."""
    assert server.piku("metrics:on").returncode == 0
    app = new_app("shop")
    said = server.piku("page:on", "status.localhost", "--user", "ada").stdout
    app.status()
    assert server.piku("housekeeping").returncode == 0
    url = f"https://status.localhost:{server.https_port}"
    password = said.rpartition(": ")[2].strip()
    for path in ("/", "/app-shop.html"):
        looks_well(browser, url + path, f"server{path[1:5]}", 1280, "light", password=password)


@pytest.mark.skipif("PICTURES" not in os.environ, reason="only for the documentation")
def test_pictures(browser: Browser, tmp_path: Path) -> None:
    """Those of the documentation, with what a calm day may look like."""
    apps = [app(number, said="Add the form for orders") for number in range(3)]
    names, states = ("shop", "blog", "api"), ("up", "crashing", "up")
    calm = []
    for number, (one, name, state) in enumerate(zip(apps, names, states, strict=True)):
        errors = 3.5 if state == "crashing" else 0.0
        hour = {**one.hour, "errors": [(NOW - STEP, errors)]}
        calm.append(
            replace(
                one, name=name, state=state, days=61 - 7 * number, expires=False, error="",
                certificate="", hour=hour,
            )
        )  # fmt: skip
    url = written(tmp_path, calm).as_uri()
    for page, name in (("index", "page"), ("app-shop", "page-app")):
        looks_well(browser, f"{url}/{page}.html", name, 1000, "light")


def looks_well(
    browser: Browser, url: str, name: str, width: int, scheme: str, *, password: str = ""
) -> None:
    """See that nothing is wider than the window, that nothing is asked of another host or refused,
    and that axe finds nothing serious."""
    context = browser.new_context(
        viewport={"width": width, "height": 600},
        color_scheme=scheme,  # type: ignore[arg-type]
        http_credentials={"username": "ada", "password": password} if password else None,
        ignore_https_errors=True,
    )
    page, said, asked = context.new_page(), list[str](), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    answer = page.goto(url)
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=Path(folder, f"{name}-{width}-{scheme}.png"), full_page=True)
    assert answer is not None and answer.ok
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert said == []
    assert asked == [url, urljoin(url, "style.css")]
    assert serious(page) == []
    context.close()


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found
            if one["impact"] in ("serious", "critical")]  # fmt: skip
