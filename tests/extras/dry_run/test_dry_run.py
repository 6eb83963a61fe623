"""What `piku deploy --dry-run` shows, and that it changes nothing."""

from collections.abc import Callable

from sandbox import Sandbox

from tests.e2e.support import WEB, App, snapshot


def lasting(app: App) -> dict[str, str]:
    """Every file of the server but the platform's own logs, and locks of its housekeeping."""
    found = snapshot(app.server.root)
    own = ("housekeeping.log", "audit.log", "audit.lock", "nginx.lock", "certificates.lock")
    return {path: state for path, state in found.items() if not path.endswith(own)}


def test_a_dry_run_changes_nothing(new_app: Callable[..., App], own_server: Sandbox) -> None:
    # On the shared server, processes of other tests' apps may still be ending, and write to their logs.
    app = new_app("dry", on=own_server)
    app.does("config:set", "PIKU_DEPLOY_BRANCH=next")
    app.commit(
        Procfile=WEB + "preflight: false\nrelease: false\nclock: python3 worker.py\n",
        message="Next",
    )
    assert "stored" in app.deployed("main")[0]
    app.deployed("HEAD~1:refs/heads/next")  # the same code
    result = app.server.git(
        app.repository, "push", app.server.remote("dry"), "HEAD:refs/heads/next", check=False
    )
    assert result.returncode == 1  # the preflight command fails
    app.does("config:set", "PIKU_DEPLOY_BRANCH=main", "API_TOKEN=do-not-show", "--no-restart")

    own_server.wait(
        lambda: '"stopping"' not in app.does("ps", "--json"), what="the old processes are gone"
    )
    assert list(app.ps()) == ["web.1"]  # the one before has ended, and logs no more
    before = lasting(app)
    said = app.does("deploy", "--dry-run")
    assert lasting(app) == before
    code = next(line for line in said.splitlines() if line.startswith("code:"))
    assert code.endswith(
        app.server.git(app.repository, "rev-parse", "--short=8", "main").stdout.strip()
    )
    for words in (
        "preflight:   false",
        "release:     false",
        "web=1, clock=1",
        "API_TOKEN=********",
        "without downtime",
    ):
        assert words in said, said
    assert "do-not-show" not in said
    assert app.body() == "one"

    # What is wrong is found without trying.
    app.commit(Procfile="web\n")
    app.failed("main")
    before = lasting(app)
    app.says("deploy", "--dry-run")
    assert lasting(app) == before
