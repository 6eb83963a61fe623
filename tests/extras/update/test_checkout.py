"""`piku update` in a clone of the source: it follows, goes back, and refuses."""

import shutil

from sandbox import Completed, Sandbox, run

from tests.e2e.support import refused


def test_a_copy_of_the_source_cannot_follow(server: Sandbox) -> None:
    if not (server.checkout / ".git").exists():
        refused(server.ssh("update"), 1, "is neither a checkout of piku nor its package")


def test_update_of_a_checkout_follows_goes_back_and_refuses(server: Sandbox) -> None:
    """The same as an administrator who runs piku from a clone of their own."""
    folder = server.base / "upstream"
    for name in ("bin", "src"):
        shutil.copytree(
            server.checkout / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    server.git(server.base, "init", "--quiet", "-b", "main", str(folder))
    server.commit(folder, {".gitignore": "__pycache__/\n"}, "A version")
    clone = server.base / "own-piku"
    server.git(server.base, "clone", "--quiet", str(folder), str(clone))

    def piku(*words: str) -> Completed:
        return run([str(clone / "bin/piku"), *words], env=server.server_env(), cwd=server.home)

    def head() -> str:
        return server.git(clone, "rev-parse", "HEAD").stdout.strip()

    assert "is the newest" in piku("update").stdout
    init = "src/piku/__init__.py"
    newer = (folder / init).read_text().replace("__version__ = ", "__version__ = '9.9' or ")
    wanted = server.commit(folder, {init: newer}, "A newer one")
    said = piku("update")
    assert said.returncode == 0, said.stdout + said.stderr
    assert f"and is now {wanted[:8]}" in said.stdout
    assert head() == wanted

    server.commit(folder, {init: newer + "raise RuntimeError('broken')\n"}, "A broken one")
    back = piku("update")
    assert back.returncode == 1
    assert f"does not work here: went back to {wanted[:8]}" in back.stderr
    assert "RuntimeError: broken" in back.stderr
    assert "Traceback" not in back.stderr
    assert head() == wanted
    assert piku("--version").stdout == "piku 9.9\n"

    assert "couldn't find remote ref nowhere" in piku("update", "--to", "nowhere").stderr
    server.git(clone, "checkout", "--quiet", "--detach")
    refused(piku("update"), 1, "is at a tag, which has no newer version", "--to TAG")
    server.git(clone, "checkout", "--quiet", "main")
    (clone / init).write_text("\n" + newer)
    refused(piku("update"), 1, "were changed by hand")
