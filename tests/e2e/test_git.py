"""What git clients do: push, clone, fetch, branches, tags."""

import shlex
import shutil
import threading
from collections.abc import Callable

import pytest
from sandbox import Completed, Sandbox

from tests.e2e.support import App, succeeded, transcript, web


def remote_refs(app: App) -> dict[str, str]:
    listing = app.server.git(app.repository, "ls-remote", app.server.remote(app.name)).stdout
    pairs = (line.split("\t") for line in listing.splitlines())
    return {name: commit for commit, name in pairs}


def head(app: App, ref: str = "HEAD") -> str:
    return app.server.git(app.repository, "rev-parse", ref).stdout.strip()


def test_clone_and_fetch_back(new_app: Callable[..., App], server: Sandbox) -> None:
    app = new_app("origin")
    for number, address in enumerate(
        (
            server.remote("origin"),
            f"{server.address}:/origin",
            f"ssh://{server.address}:{server.ssh_port}/origin",
        )
    ):
        copy = server.client / f"copy-{number}"
        server.git(server.client, "clone", "--quiet", address, str(copy))
        assert (copy / "server.py").read_text() == (app.repository / "server.py").read_text()
        assert server.git(copy, "branch", "--show-current").stdout == "main\n"

    # References of the server's own are nobody else's business.
    assert remote_refs(app) == {"HEAD": head(app), "refs/heads/main": head(app)}

    # A push with an ssh:// address deploys as well, and what it brought can be fetched.
    app.commit(version_txt="two")
    address = f"ssh://{server.address}:{server.ssh_port}/origin"
    result = server.git(app.repository, "push", address, "main")
    assert "v2 is live" in result.stderr
    assert app.body() == "two"
    server.git(server.client / "copy-0", "pull", "--quiet")
    assert (server.client / "copy-0" / "version.txt").read_text() == "two"


def test_the_first_branch_deploys(new_app: Callable[..., App], server: Sandbox) -> None:
    app = new_app("branches", push=False)
    server.git(app.repository, "branch", "--move", "trunk")
    app.deployed("trunk")
    assert app.body() == "one"

    server.git(app.repository, "checkout", "--quiet", "-b", "main")
    commit = app.commit(version_txt="on main")
    said = app.deployed("main")
    assert said == [
        "-----> branch 'main' is stored, not deployed: branches deploys 'trunk'",
        "       Deploy it with: git push REMOTE main:refs/heads/trunk",
        "       or for good: piku config:set branches PIKU_DEPLOY_BRANCH=main",
        "       and then: piku deploy branches",
    ]
    assert remote_refs(app)["refs/heads/main"] == commit
    assert app.body() == "one"
    server.git(app.repository, "tag", "v1.0")
    assert app.deployed("v1.0") == [
        "-----> tag 'v1.0' is stored, not deployed: branches deploys 'trunk'",
        "       Deploy it with: git push REMOTE v1.0^{}:refs/heads/trunk",
    ]
    assert len(app.releases()) == 1
    server.git(app.repository, "tag", "--annotate", "--message=One", "v1.1")
    said = app.failed("v1.1:refs/heads/trunk", "--force")
    assert "git push REMOTE TAG^{}:refs/heads/trunk" in said[0]
    app.deployed("v1.1^{}:refs/heads/trunk")
    assert app.body() == "on main"

    # Several at once: each is told about, and the right one goes live.
    server.git(app.repository, "branch", "side")
    server.git(app.repository, "checkout", "--quiet", "trunk")
    server.git(app.repository, "merge", "--quiet", "main")
    # A tag may have the branch's name.
    app.deployed("v1.1:refs/tags/trunk")
    app.commit(version_txt="on trunk")
    both = server.git(app.repository, "push", server.remote("branches"), "side", "trunk").stderr
    assert "branch 'side' is stored" in both
    assert app.body() == "on trunk"

    # Another branch, by a setting; what is stored already needs no push.
    app.does("config:set", "PIKU_DEPLOY_BRANCH=main")
    assert app.body() == "on trunk"
    app.does("deploy")
    assert app.body() == "on main"
    app.commit(version_txt="later on trunk")
    assert "stored, not deployed: branches deploys 'main'" in app.deployed("trunk")[0]
    assert app.body() == "on main"
    server.git(app.repository, "checkout", "--quiet", "main")
    app.commit(version_txt="later on main")
    app.deployed("main")
    assert app.body() == "later on main"

    # Deleting a branch removes no app.
    said = app.deployed(":side")
    assert "removed" in said[0]
    said = app.deployed(":main")
    assert "the live release stays live" in said[0]
    assert set(remote_refs(app)) >= {"refs/heads/trunk"}
    assert not {"refs/heads/side", "refs/heads/main"} & set(remote_refs(app))
    assert app.body() == "later on main"
    app.deployed("main")
    assert app.body() == "later on main"


def test_a_branch_set_before_the_first_push(new_app: Callable[..., App], server: Sandbox) -> None:
    app = new_app("chosen", push=False)
    app.deployed("HEAD:refs/heads/other")
    app.does("config:set", "PIKU_DEPLOY_BRANCH=release/next")
    app.commit(version_txt="two")
    assert "stored" in app.deployed("HEAD:refs/heads/other")[0]
    assert app.body() == "one"
    app.deployed("HEAD:refs/heads/release/next")
    assert app.body() == "two"


def test_a_failed_deploy_puts_the_branch_back(new_app: Callable[..., App]) -> None:
    files = {**web("back"), "Procfile": "web: exec python3 -IS server.py\nrelease: sh release.sh\n"}
    app = new_app("back", {**files, "release.sh": "exit 3\n"}, push=False)
    # A first push that fails leaves no branch, and the next one is as good as the first.
    said = app.failed()
    assert any(
        "v1 failed at the release command" in line and "exit code 3" in line for line in said
    )
    assert any("nothing of this app runs yet" in line for line in said)
    assert any("The branch was put back" in line for line in said)
    assert remote_refs(app) == {}

    good = app.commit(release_sh="true\n")
    app.deployed()
    assert remote_refs(app)["refs/heads/main"] == good
    app.commit(release_sh="cat /no-such-file\n", version_txt="two")
    for number in (3, 4):  # the same push again tries again
        result = app.push()
        assert result.returncode == 1
        assert "failed to push some refs" in result.stdout
        said = transcript(result)
        assert any("cat: /no-such-file" in line for line in said)
        assert any(f"v{number} failed" in line for line in said)
        assert any("v2" in line and "still runs" in line for line in said)
        assert remote_refs(app)["refs/heads/main"] == good
        assert app.body() == "one"
    app.commit(release_sh="true\n")
    app.deployed()
    assert app.body() == "two"
    # Going back in history is a push like any other.
    app.deployed(f"+{good}:refs/heads/main")
    assert app.body() == "one"


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../evil",
        "a/b",
        ".hidden",
        "-x",
        "a b",
        "a;touch evil",
        "$(touch evil)",
        "x" * 64,
        "ünder",
        "a@b",
        "'",
    ],
)
def test_a_bad_name_creates_nothing(server: Sandbox, name: str) -> None:
    repository = server.client / "badnames"
    if not repository.exists():
        server.repository("badnames", web("badnames"))
    before = {
        folder: sorted((server.root / folder).iterdir()) for folder in ("repos", "releases", "envs")
    }
    result = server.push(repository, name)
    assert result.returncode != 0
    assert "Traceback" not in result.stdout
    if not name.startswith("-"):  # git itself refuses those
        assert "is not an app name" in result.stdout
    assert before == {f: sorted((server.root / f).iterdir()) for f in ("repos", "releases", "envs")}
    assert not (server.home / "evil").exists()


def test_cloning_what_is_not_there(server: Sandbox) -> None:
    result = server.git(server.client, "clone", server.remote("nothere"), "nothere", check=False)
    assert result.returncode != 0
    assert "there is no app called 'nothere'" in result.stderr
    assert not (server.root / "repos" / "nothere").exists()


def test_only_git_of_this_app_is_served(server: Sandbox) -> None:
    for command in (
        "git-upload-archive 'origin'",
        "git-shell -c ls",
        "git-upload-pack --strict x",
        "git-receive-pack",
    ):
        result = server.ssh(command)
        assert result.returncode == 2, (command, result.stdout, result.stderr)
    assert server.ssh("git-upload-pack '../../etc'").returncode == 1


def test_shallow_clones_deploy(new_app: Callable[..., App], server: Sandbox) -> None:
    app = new_app("shallow", push=False)

    def push(depth: int, *options: str) -> Completed:
        """A push from a fresh clone, as CI makes them."""
        clone = server.client / "ci"
        shutil.rmtree(clone, ignore_errors=True)
        source = f"file://{app.repository}"
        server.git(server.client, "clone", "--quiet", f"--depth={depth}", source, str(clone))
        return server.push(clone, "shallow", "main", *options)

    for text in ("two", "three"):
        app.commit(version_txt=text)
    succeeded(push(1))
    assert app.body() == "three"
    # The next one does not know what it replaces, and its git does not send it without --force.
    app.commit(version_txt="four")
    assert "fetch first" in push(1).stdout
    succeeded(push(1, "--force"))
    assert app.body() == "four"
    app.commit(version_txt="five", Procfile="web: exit 1\n")
    assert push(2).returncode == 1
    app.commit(Procfile=web("shallow")["Procfile"])
    app.commit(version_txt="six")
    succeeded(push(4))
    # Code that no branch leads to any more is built again for another setting.
    app.does("rollback", "v1")
    shutil.rmtree((server.root / "apps" / "shallow").resolve())
    app.does("config:set", "A=1")
    assert app.body() == "three"
    # Whole histories go on, there and back.
    app.commit(version_txt="seven")
    app.deployed()
    server.git(server.client, "clone", "--quiet", server.remote("shallow"), "shallow-copy")
    repository = server.root / "repos" / "shallow"
    server.git(repository, "gc", "--quiet", "--prune=now")
    assert server.git(repository, "fsck", "--no-dangling").stdout == ""


def test_a_second_push_waits_and_says_so(new_app: Callable[..., App], server: Sandbox) -> None:
    app = new_app("queue", push=False)
    gate = server.base / "gate"
    app.commit(
        Procfile=f"web: exec python3 -IS server.py\nrelease: until test -e {shlex.quote(str(gate))}; do sleep 0.02; done\n"
    )
    other = server.client / "queue-copy"
    server.git(server.client, "clone", "--quiet", str(app.repository), str(other))
    server.commit(other, {"version.txt": "two"})
    first: list[Completed] = []
    begun = threading.Event()
    pusher = threading.Thread(
        target=lambda: first.append(
            server.push(
                app.repository,
                "queue",
                show=lambda line: begun.set() if "Release:" in line else None,
            )
        )
    )
    pusher.start()
    assert begun.wait(120)

    def show(line: str) -> None:
        if "Waiting for a push by laptop" in line:
            gate.touch()

    second = server.push(other, "queue", show=show)
    pusher.join()
    said = succeeded(second)
    assert any("Waiting for a push by laptop" in line and "since" in line for line in said), said
    assert any("v1 is live" in line for line in succeeded(first[0]))
    assert any("v2 is live" in line for line in said)
    assert app.body() == "two"
