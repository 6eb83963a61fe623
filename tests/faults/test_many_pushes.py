"""Twenty pushes at once: to one app they wait for each other, to twenty apps they do not."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sandbox import Completed, Sandbox

from tests.faults.killed import check_sane
from tests.faults.support import App, files, new_app, said, succeeded

MANY = 20
WAITS = re.compile(
    r"-----> Waiting for a push by laptop \(SHA256:\S+\) \(process \d+, since \d\d:\d\d:\d\d\)"
)


def clone(app: App, number: int) -> Path:
    """Somebody else's work on the same app: one commit beside everybody's."""
    folder = app.server.client / f"clone-{number}"
    app.server.git(app.server.client, "clone", "--quiet", str(app.repository), str(folder))
    app.server.commit(folder, {"version": f"from {number}"}, f"Work {number}")
    return folder


@pytest.mark.timeout(400)
def test_to_one_app(server: Sandbox) -> None:
    """While one is deployed, each is told whom it waits for; of these, only the last is deployed."""
    gate = server.base / "gate"
    gate.touch()
    procfile = f"wsgi: app:app\npreflight: until test -e {gate}; do sleep 0.05; done\n"
    app = new_app(server, "busy", "wsgi", Procfile=procfile)
    clones = [clone(app, number) for number in range(MANY)]
    gate.unlink()
    waiting: list[str] = []

    def push(folder: Path) -> Completed:
        def show(line: str) -> None:
            waiting.extend(WAITS.findall(line))

        return server.push(folder, app.name, "main", "--force", show=show)

    with ThreadPoolExecutor(MANY + 1) as pool:
        first = pool.submit(app.push)
        server.wait(lambda: (app.newest()["number"], app.newest()["step"]) == (2, "preflight"))
        pushes = [pool.submit(push, folder) for folder in clones]
        try:
            server.wait(
                lambda: len(waiting) + sum(each.done() for each in pushes) == MANY, timeout=120
            )
        finally:
            gate.touch()
    assert first.result().returncode == 0, said(first.result())
    texts = [said(each.result()) for each in pushes]
    live = [text for text in texts if "is live after" in text]
    replaced = [text for text in texts if "is not deployed: a later push replaces it" in text]
    # git itself refuses one whose branch another has moved in the same moment.
    clashed = [text for text in texts if "remote rejected" in text]
    assert (len(live), len(live) + len(replaced) + len(clashed)) == (1, MANY), "\n\n".join(texts)
    assert len(waiting) == MANY - len(clashed)
    assert [each.result().returncode for each in pushes] == [int(t in clashed) for t in texts]
    assert app.body().startswith("from ")
    [commit] = [row["commit"] for row in app.releases() if row["live"]]
    assert commit == app.branch()
    check_sane(app, app.body())


@pytest.mark.timeout(400)
def test_to_many_apps(server: Sandbox) -> None:
    names = [f"app-{number}" for number in range(MANY)]
    repositories = {
        name: server.repository(name, files("wsgi", name, version="v0")) for name in names
    }
    with ThreadPoolExecutor(MANY) as pool:
        results = list(pool.map(lambda name: server.push(repositories[name], name), names))
    for result in results:
        assert result.returncode == 0, said(result)
        assert not WAITS.search(said(result))
    for name in names:
        app = App(server=server, name=name, repository=repositories[name])
        assert app.body() == "v0"
    assert len(succeeded(server.piku("apps", "--plain")).split()) >= MANY
