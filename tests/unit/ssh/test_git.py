"""Repositories, branches and what a hook is told, with real git."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from piku import files, subprocesses
from piku.app import tree
from piku.errors import PikuError
from piku.paths import AppPaths, Paths
from piku.ssh import git, push
from piku.ssh.push import Update

Commit = Callable[..., str]
ZERO = "0" * 40


def test_an_app_by_its_url() -> None:
    assert git.app_from_path("shop") == git.app_from_path("/shop.git") == "shop"


@pytest.mark.parametrize(
    "path", ["", "/", "//shop", "../shop", "~/shop", "/~/shop", "shop/", "a/b", "--x", "sh op", "'"]
)
def test_what_is_no_app(path: str) -> None:
    with pytest.raises(PikuError, match="is not an app name"):
        git.app_from_path(path)


def test_a_repository_is_made_once_and_its_hook_every_time(shop: AppPaths) -> None:
    command, variables = ["/opt/a b/piku"], {"PIKU_ROOT": "/srv/it's $HOME"}
    assert git.create_repository(shop, command, variables)
    assert (
        subprocesses.run(["git", "-C", str(shop.repo), "rev-parse", "--is-bare-repository"])
        == "true\n"
    )
    post_receive = shop.repo / "hooks" / "post-receive"
    assert post_receive.stat().st_mode & 0o777 == 0o755
    post_receive.write_text("old")
    assert not git.create_repository(shop, command, variables)
    text = post_receive.read_text().replace("exec ", "env; printf '%s|' ")
    seen = subprocess.run(["sh", "-c", text], check=True, capture_output=True, text=True).stdout
    assert "PIKU_ROOT=/srv/it's $HOME\n" in seen
    assert seen.endswith("/opt/a b/piku|git-hook|shop|")
    assert [path.name for path in shop.repo.parent.iterdir()] == ["shop"]


def test_nobody_sees_the_references_to_kept_commits(shop: AppPaths, commit: Commit) -> None:
    git.create_repository(shop, ["piku"], {})
    name = commit(shop, {"a": "1"})
    subprocesses.run(["git", "-C", str(shop.repo), "update-ref", f"refs/piku/{name}", name])
    shown = subprocesses.run(["git", "ls-remote", str(shop.repo)])
    assert "refs/heads/main" in shown and "refs/piku" not in shown


def test_no_commit_stands_for_another(shop: AppPaths, commit: Commit) -> None:
    """A push of refs/replace would have a release be of other code than it says, or, with one that
    stands for itself, end every later push."""
    good, evil, same = (commit(shop, {"Procfile": f"web: {text}\n"}) for text in "gex")
    for name, other in ((good, evil), (same, same)):
        words = ["update-ref", f"refs/replace/{name}", other]
        subprocess.run(["git", "-C", str(shop.repo), *words], check=True)
    assert tree.of_commit(shop.repo, good).read("Procfile") == "web: g\n"
    assert tree.of_commit(shop.repo, same).read("Procfile") == "web: x\n"


# --- which branch deploys ------------------------------------------------------------------------


def test_the_first_branch_pushed_deploys(paths: Paths, shop: AppPaths, commit: Commit) -> None:
    git.create_repository(shop, ["piku"], {})
    commit(shop, {"a": "1"}, "trunk")
    assert push.deploying(paths, shop, ["trunk"]) == "trunk"
    commit(shop, {"a": "2"}, "side")
    assert push.deploying(paths, shop, ["side"]) == "trunk"
    assert push.deploying(paths, shop) == "trunk"


@pytest.mark.parametrize(
    ("pushed", "expected"),
    [(["side", "main"], "main"), (["side", "master"], "master"), (["b", "a"], "b")],
)
def test_of_several_at_once_the_usual_one(
    paths: Paths, shop: AppPaths, commit: Commit, pushed: list[str], expected: str
) -> None:
    git.create_repository(shop, ["piku"], {})
    for branch in pushed:
        commit(shop, {"a": "1"}, branch)
    assert push.deploying(paths, shop, pushed) == expected


def test_a_setting_decides(paths: Paths, shop: AppPaths, commit: Commit) -> None:
    commit(shop, {"a": "1"})
    paths.server_env.write_text("PIKU_DEPLOY_BRANCH=production\n")
    assert push.deploying(paths, shop, ["main"]) == "production"
    files.write(shop.settings, "PIKU_DEPLOY_BRANCH=live/x\n")
    assert push.deploying(paths, shop, ["main"]) == "live/x"


def test_a_branch_that_was_never_pushed_has_no_tip(shop: AppPaths, commit: Commit) -> None:
    name = commit(shop, {"a": "1"})
    assert push.tip(shop, "main") == name
    with pytest.raises(PikuError, match="the branch 'other' has not been pushed"):
        push.tip(shop, "other")


def test_putting_a_branch_back(shop: AppPaths, commit: Commit) -> None:
    one = commit(shop, {"a": "1"})
    two = commit(shop, {"a": "2"})
    main = "refs/heads/main"
    first, second = Update(old=ZERO, new=one, ref=main), Update(old=one, new=two, ref=main)
    assert not push.reset(shop, first), "somebody has moved it since"
    assert push.tip(shop, "main") == two
    assert push.reset(shop, second)
    assert push.tip(shop, "main") == one
    assert push.reset(shop, first)
    assert push.commit_of(shop, main) == ""


# --- the hook's input ----------------------------------------------------------------------------


def test_what_a_hook_is_told() -> None:
    a, b = "a" * 40, "b" * 40
    updates = push.parse(
        [
            f"{a} {b} refs/heads/main\n",
            f"{ZERO} {b} refs/tags/v 1\n",
            f"{a} {ZERO} refs/heads/x/y\n",
            "\n",
            "junk\n",
        ]
    )
    assert [(update.branch, update.ref, update.deletes) for update in updates] == [
        ("main", "refs/heads/main", False), ("", "refs/tags/v 1", False), ("x/y", "refs/heads/x/y", True),
    ]  # fmt: skip
    assert (updates[0].old, updates[0].new) == (a, b)


def test_two_first_pushes_at_once_make_one_repository(shop: AppPaths) -> None:
    shop.repo.parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(lambda _: git.create_repository(shop, ["piku"], {}), range(8))
        assert sorted(made) == [False] * 7 + [True]
