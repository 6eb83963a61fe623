"""Releases: what is recorded, going back, and what an app wrote beside its code."""

import json
from collections.abc import Callable

from tests.e2e.support import WEB, App, refused, succeeded, web


def test_releases_are_listed_and_rolled_back(new_app: Callable[..., App]) -> None:
    app = new_app("history")
    assert app.asked("config:set", "COLOR=red").returncode == 0
    second = app.commit(version_txt="two", message="The second version")
    app.deployed()
    app.does("config:set", "COLOR=blue", "SIZE=big")
    assert (app.about()["env"]["COLOR"], app.about()["version"]) == ("blue", "two")

    # Code and settings both go back, and what is kept for the next release as well.
    result = app.asked("rollback", "v2")
    assert result.returncode == 0, result.stderr
    said = result.stdout.splitlines()
    [first] = (line for line in said if line.startswith("-----> Rolling history back from v4 ("))
    assert " to v2 (" in first and first.endswith(", 'set COLOR')")
    assert any("settings go back" in line and "COLOR" in line and "SIZE" in line for line in said)
    assert not any("Release:" in line or "building" in line for line in said)
    about = app.about()
    assert (about["version"], about["env"]["COLOR"], "SIZE" in about["env"]) == (
        "one",
        "red",
        False,
    )
    assert app.does("config") == "COLOR=red\n"
    assert about["env"]["PIKU_RELEASE"] == "5"

    # Without a number: the release before the one that is live.
    app.does("rollback")
    assert (app.about()["version"], app.about()["env"]["COLOR"]) == ("two", "blue")
    releases = app.releases()
    assert [release["number"] for release in releases] == [6, 5, 4, 3, 2, 1]
    assert [release["kind"] for release in releases] == [
        "rollback",
        "rollback",
        "config",
        "push",
        "config",
        "push",
    ]
    assert [release["live"] for release in releases] == [True, *[False] * 5]
    assert all(release["outcome"] == "succeeded" for release in releases)
    assert releases[3]["commit"] == second == releases[0]["commit"]
    assert all(
        release["by"].startswith("laptop (SHA256:")
        for release in (releases[1], releases[3], releases[5])
    )
    rows = app.does("releases").splitlines()
    assert len(rows) == 6
    assert "v6" in rows[0] and "rollback to v4" in rows[0] and "live" in rows[0]
    assert "push: The second version" in rows[3]
    assert "v2" in rows[4] and "COLOR" in rows[4] and "red" not in rows[4]
    assert "laptop" in rows[5] and releases[5]["commit"][:8] in rows[5]

    # What was pushed last is still what the branch has: pushing goes on from there.
    app.commit(version_txt="three")
    app.deployed()
    assert (app.about()["version"], app.about()["env"]["COLOR"]) == ("three", "blue")

    before = app.releases()
    refused(app.says("rollback", "v7"), 1, "already live")
    refused(app.says("rollback", "v99"), 1, "no release v99", "piku releases history")
    refused(app.says("rollback", "0"), 1, "no release v0")
    refused(app.says("rollback", "latest"), 2, "'latest' is not a release")
    assert app.releases() == before


def test_a_rollback_to_what_never_ran_is_refused(new_app: Callable[..., App]) -> None:
    app = new_app("never")
    refused(app.says("rollback"), 1, "first release")
    app.commit(Procfile=WEB + "release: false\n")
    app.failed()
    refused(app.says("rollback", "2"), 1, "v2 never ran")
    app.commit(Procfile=WEB, version_txt="three")
    app.deployed()
    app.does("rollback")  # passes over the one that failed
    assert app.body() == "one"
    assert {r["number"]: r["outcome"] for r in app.releases()} == {
        4: "succeeded", 3: "succeeded", 2: "failed", 1: "succeeded",
    }  # fmt: skip
    row = next(line for line in app.does("releases").splitlines() if line.startswith("v2"))
    assert "failed: the release command failed with exit code 1" in row


def test_only_so_many_releases_are_kept(new_app: Callable[..., App]) -> None:
    app = new_app("pruned", web("pruned", env="PIKU_KEEP_RELEASES=2\n"))
    first = app.releases()[0]["commit"]
    for version in ("two", "three", "four"):
        app.commit(version_txt=version)
        app.deployed()
    folder = app.server.root / "releases" / "pruned"
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {"starts", "v3", "v4"}
    refused(app.says("rollback", "v1"), 1, "pruned no longer keeps release v1")
    assert [release["number"] for release in app.releases()] == [4, 3]
    app.does("rollback", "v3")
    assert app.body() == "three"
    # A clone still has everything, and an old commit can be pushed again.
    app.deployed(f"+{first}:refs/heads/main")
    assert app.body() == "one"


def test_files_beside_the_code_are_not_hidden_by_surprise(new_app: Callable[..., App]) -> None:
    app = new_app("writer")
    app.body("/write?file=uploads/photo.txt&text=precious")
    app.body("/write?file=notes.sqlite&text=rows")
    app.body("/write?file=__pycache__/cache.pyc&text=x")
    app.commit(version_txt="two")
    said = app.failed()
    for words in (
        "uploads/photo.txt",
        "notes.sqlite",
        "PIKU_PERSIST=",
        "piku deploy writer --allow-untracked",
    ):
        assert any(words in line for line in said), (words, said)
    assert not any("__pycache__" in line for line in said)
    assert app.body() == "one"
    # A change of settings keeps the checkout, so it hides nothing.
    app.does("config:set", "A=1")
    assert app.body("/read?file=uploads/photo.txt") == "precious"
    assert app.says("rollback", "v1").returncode == 0
    assert app.body("/read?file=uploads/photo.txt") == "precious"


def test_files_can_be_left_behind(new_app: Callable[..., App]) -> None:
    app = new_app("leaver")
    app.body("/write?file=scratch.txt&text=precious")
    commit = app.commit(version_txt="two")
    said = app.failed()
    assert any("scratch.txt" in line for line in said)
    # The command that the push named does what was refused.
    said = app.does("deploy", "--allow-untracked").splitlines()
    assert app.body() == "two", said
    assert app.server.git(
        app.repository, "ls-remote", app.server.remote("leaver"), "main"
    ).stdout.startswith(commit)
    # Nothing was deleted.
    found = list((app.server.root / "releases" / "leaver").glob("*/scratch.txt"))
    assert [path.read_text() for path in found] == ["precious"]


def test_auto_restart_off_prepares(new_app: Callable[..., App]) -> None:
    app = new_app(
        "manual", web("manual", procfile='release: echo "$PIKU_RELEASE" >>$DATA_ROOT/released\n')
    )
    app.does("config:set", "PIKU_AUTO_RESTART=false", "--no-restart")
    before = app.about()["pid"]
    app.commit(version_txt="two")
    said = app.deployed()
    assert any("is ready and waits" in line and "piku restart manual" in line for line in said)
    assert app.about()["version"] == "one"
    assert app.about()["pid"] == before
    assert json.loads(app.does("releases", "--json"))[0]["outcome"] == "built"
    app.commit(version_txt="three")
    app.deployed()
    assert app.about()["pid"] == before
    app.does("restart")
    assert app.body() == "three"
    assert app.does("rollback", "v1").strip()
    succeeded(app.says("restart"))
    assert app.about()["env"]["PIKU_RELEASE"] == str(app.live())
