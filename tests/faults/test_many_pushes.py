"""Twenty pushes at once: to one app they wait for each other, to twenty apps they do not."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sandbox import Completed, Sandbox

from tests.faults.killed import check_sane
from tests.faults.support import App, files, new_app, said, succeeded

MANY = 20
WAITS = re.compile(r"-----> Waiting for a push by laptop \(process \d+, since \d\d:\d\d:\d\d\)")


def clone(app: App, number: int) -> Path:
    """Somebody else's work on the same app: one commit beside everybody's."""
    folder = app.server.client / f"clone-{number}"
    app.server.git(app.server.client, "clone", "--quiet", str(app.repository), str(folder))
    app.server.commit(folder, {"version": f"from {number}"}, f"Work {number}")
    return folder


@pytest.mark.timeout(400)
def test_to_one_app(server: Sandbox) -> None:
    """Each is told whom it waits for; of those that wait, only the last is deployed."""
    app = new_app(server, "busy", "wsgi")
    clones = [clone(app, number) for number in range(MANY)]

    def push(folder: Path) -> Completed:
        return server.push(folder, app.name, "main", "--force")

    versions = [f"from {number}" for number in range(MANY)]
    with ThreadPoolExecutor(MANY) as pool:
        results = list(pool.map(push, clones))
    texts = [said(result) for result in results]
    live = [text for text in texts if "is live after" in text]
    replaced = [text for text in texts if "is not deployed: a later push replaces it" in text]
    # git itself refuses one whose branch another has moved in the same moment.
    refused = [
        text for text in texts if "cannot lock ref" in text or "failed to update ref" in text
    ]
    assert len(live) + len(replaced) + len(refused) == MANY, "\n\n".join(texts)
    assert live and replaced
    assert all(WAITS.search(text) for text in replaced), replaced
    assert [result.returncode for result in results] == [int(text in refused) for text in texts]
    assert app.body() in versions
    [commit] = [row["commit"] for row in app.releases() if row["live"]]
    assert commit == app.branch()
    check_sane(app, app.body())


@pytest.mark.timeout(400)
def test_to_many_apps(server: Sandbox) -> None:
    names = [f"app-{number}" for number in range(MANY)]
    repositories = {name: server.repository(name, files("wsgi", name)) for name in names}
    with ThreadPoolExecutor(MANY) as pool:
        results = list(pool.map(lambda name: server.push(repositories[name], name), names))
    for result in results:
        assert result.returncode == 0, said(result)
        assert not WAITS.search(said(result))
    for name in names:
        app = App(server=server, name=name, repository=repositories[name])
        assert app.body() == "v0"
    assert len(succeeded(server.piku("apps", "--plain")).split()) >= MANY
