"""Submodules of real repositories, and clones that were committed as if they were files."""

from collections.abc import Callable
from pathlib import Path

import pytest
from laptop import run
from sandbox import Sandbox

from piku.app.tree import of_commit
from piku.errors import PikuError
from piku.extras.submodules import submodules
from piku.paths import AppPaths
from tests.e2e.support import App
from tests.unit.conftest import commit, paths, shop

__all__ = ["commit", "paths", "shop"]

ONE = f"submodule:{'ab' * 20}"


def test_submodules_are_checked_out(new_app: Callable[..., App], server: Sandbox) -> None:
    inner = server.repository("inner", {"inner.txt": "deep"})
    library = server.repository("library", {"page.txt": "from the submodule"})
    allow = ("-c", "protocol.file.allow=always")
    server.git(library, *allow, "submodule", "--quiet", "add", str(inner), "nested")
    server.commit(library, {})
    app = new_app(
        "modules",
        {"Procfile": "static: .\n", "ENV": "NGINX_SERVER_NAME=modules.localhost\n"},
        push=False,
    )
    server.git(app.repository, *allow, "submodule", "--quiet", "add", str(library), "lib")
    app.commit("With a submodule")
    app.deployed()
    assert app.body("/lib/page.txt") == "from the submodule"
    assert app.body("/lib/nested/inner.txt") == "deep"

    # A newer one, and going back to the one before.
    server.commit(library, {"page.txt": "newer"})
    server.git(app.repository, *allow, "submodule", "--quiet", "update", "--remote", "lib")
    app.commit("Newer submodule")
    app.deployed()
    assert app.body("/lib/page.txt") == "newer"
    app.does("rollback")
    assert app.body("/lib/page.txt") == "from the submodule"

    # A shallow one: only the newest commit is fetched.
    (app.repository / ".gitmodules").write_text(
        (app.repository / ".gitmodules").read_text().replace(str(library), f"file://{library}")
        + "\tshallow = true\n"
    )
    server.git(app.repository, *allow, "submodule", "--quiet", "update", "--remote", "lib")
    app.commit("Shallow submodule")
    app.deployed()
    assert app.body("/lib/page.txt") == "newer"
    live = (server.root / "apps" / "modules").resolve()
    assert server.git(live / "lib", "rev-list", "--count", "HEAD").stdout == "1\n"
    assert app.body("/lib/nested/inner.txt") == "deep"
    app.does("rollback")
    assert app.body("/lib/page.txt") == "from the submodule"

    # One that cannot be fetched is a failure that says so.
    modules = (
        (app.repository / ".gitmodules")
        .read_text()
        .replace(str(library), str(Path("/no/such/repository")))
    )
    (app.repository / ".gitmodules").write_text(modules.replace('"lib"', '"gone"'))
    app.commit("Lost")
    said = app.failed()
    assert any(
        "failed at checking out the code: a submodule could not be fetched" in line for line in said
    )
    assert app.body("/lib/page.txt") == "from the submodule"


def test_a_clone_that_was_committed_is_refused_with_both_ways_out(
    new_app: Callable[..., App], server: Sandbox
) -> None:
    app = new_app("nested", {"Procfile": "static: .\n"}, push=False)
    server.repository("nested/lib", {"lib.txt": "one"})
    assert (app.repository / "lib" / ".git").exists()
    app.commit("With a clone")
    said = "\n".join(app.failed())
    assert "failed at reading the commit: this commit lacks the files of lib" in said

    # Each of the two commands that it says, as it says them.
    ways = [line.partition(": ")[2] for line in said.splitlines() if "git rm --cached" in line]
    add, apart = (["sh", "-ec", way] for way in ways)
    allow = {"GIT_ALLOW_PROTOCOL": "file:ssh"}
    inner = server.client / "lib-upstream"
    server.git(server.client, "clone", "--quiet", str(app.repository / "lib"), str(inner))
    apart[2] = apart[2].replace("URL", str(inner))
    result = run(apart, env={**server.git_env(), **allow}, cwd=app.repository)
    assert result.returncode == 0, result.stderr
    app.commit("As a submodule")
    app.deployed()
    live = server.root / "apps" / "nested" / "lib" / "lib.txt"
    assert live.read_text() == "one"
    server.git(app.repository, "reset", "--quiet", "--hard", "HEAD~1")
    assert run(add, env=server.git_env(), cwd=app.repository).returncode == 0
    app.commit("As files")
    app.deployed("main", "--force")
    assert live.read_text() == "one"


@pytest.mark.parametrize(
    ("modules", "folder", "lost"),
    [
        ("", "", "lib, web/deep"),
        ('[submodule "x"]\n\tpath = lib\n\turl = u\n', "", "web/deep"),
        ('[submodule "x"]\npath=lib\n[submodule "y z"]\npath = web/deep/\n', "", ""),
        ('[submodule "x"]\npath = lib\n', "web", "web/deep"),
        ("", "web", "lib, web/deep"),
    ],
)
def test_repositories_that_gitmodules_does_not_have(
    shop: AppPaths, commit: Callable[..., str], modules: str, folder: str, lost: str
) -> None:
    files = {"web/Procfile": "web: x\n", "lib": ONE, "web/deep": ONE, ".gitmodules": modules}
    tree = of_commit(shop.repo, commit(shop, files)).seen_from(folder)
    if not lost:
        submodules.refuse_unnamed(tree)
        return
    with pytest.raises(PikuError, match=f"lacks the files of {lost}:"):
        submodules.refuse_unnamed(tree)
