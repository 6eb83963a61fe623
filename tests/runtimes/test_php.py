"""PHP apps: uWSGI runs the scripts and serves the other files, behind nginx or on a port."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.support import App
from tests.runtimes.support import BUSY, QUICK

NewApp = Callable[..., App]

SECRET = "<?php $secret = 'do not tell';\n"


def test_php(new_app: NewApp, example: Callable[[str], Path]) -> None:
    app = new_app("phpapp", example("php"))
    assert "Hello from PHP" in app.body()
    assert "release 1." in app.body("/index.php", https=True)
    status, headers, body = app.server.get(app.host, "/style.css")
    assert (status, headers.get_content_type()) == (200, "text/css")
    assert body.startswith(b"body {")
    # What is no file below the document root is the front controller's.
    for path in ("/greeting.php", "/orders/7"):
        assert "<h1>Hello from PHP</h1>" in app.body(path)

    taken = []
    for word in ("Hallo", "Salut", "Goodbye"):
        app.commit(greeting_php=f"<?php\nconst GREETING = '{word} from PHP';\n")
        begun = time.monotonic()
        app.deployed()
        taken.append(time.monotonic() - begun)
    print(f"{app.name}: a push took {min(taken):.2f} s")
    assert min(taken) < QUICK * BUSY, taken
    assert "Goodbye from PHP" in app.body()

    # Composer is not asked to do anything, be it installed or not.
    app.commit(composer_json='{"require": {"nobody/knows": "1.0"}}\n')
    app.deployed()
    assert "Goodbye from PHP" in app.body()

    app.server.commit(app.repository, {"Procfile": "php: no-such-folder\n"})
    said = app.failed()
    assert any("php: there is no folder 'no-such-folder'" in line for line in said), said
    # A link that leads out of the app shows nobody what is there.
    app.server.commit(app.repository, {"Procfile": "php: outside\n"})
    (app.repository / "outside").symlink_to("/etc")
    app.commit(linked="yes")
    said = app.failed()
    assert any("php: there is no folder 'outside'" in line for line in said), said

    app.server.commit(
        app.repository, {"Procfile": "php: public\n", "public/index.php": "<?php broken(\n"}
    )
    app.does("config:set", "PIKU_HEALTHCHECK_PATH=/", "PIKU_DEPLOY_TIMEOUT=15")
    said = app.failed()
    assert any("answers / with 500" in line for line in said), said
    assert any("PHP Parse error" in line for line in said), said
    assert "Goodbye from PHP" in app.body()


@pytest.mark.parametrize("named", [True, False], ids=["nginx", "port"])
def test_no_source_is_served(new_app: NewApp, named: bool) -> None:
    """Be the whole repository the document root, and whatever way a path is written."""
    name = f"source-{'nginx' if named else 'port'}"
    files = {
        "Procfile": "php: .\n",
        "index.php": "<?php include 'part.inc'; echo 'page ', $_SERVER['QUERY_STRING'];\n",
        "part.inc": SECRET,
        "lib/class.php": SECRET,
        "plain/index.html": "<p>plain</p>\n",
        "page/index.php": "<?php echo 'below';\n",
        ".env": "PASSWORD=secret\n",
        "lib/.env.local": "PASSWORD=secret\n",
    }
    app = new_app(name, {**files, "lib/ENV": "secret"}, push=False)
    env = "PIKU_PERSIST=uploads\n" + (f"NGINX_SERVER_NAME={app.host}\n" if named else "")
    for place, target in (
        ("env.txt", "ENV"), ("lib/dot", "../.git"), ("sub/up", ".."), ("self", "."), ("passwd.txt", "/etc/passwd"),
        ("root", app.server.root), ("sub/part.txt", "../part.inc"),
    ):  # fmt: skip
        (app.repository / place).parent.mkdir(exist_ok=True)
        (app.repository / place).symlink_to(target)
    app.commit(ENV=env)
    assert any(
        "the link lib/dot leads to .git, which is never served" in line for line in app.failed()
    )
    (app.repository / "lib/dot").unlink()
    app.commit("Without that link")
    app.deployed()
    uploads = app.data / "uploads"
    (uploads / "picture.txt").write_text("a picture")
    (uploads / "script.php").write_text(SECRET)
    (uploads / "env.txt").symlink_to(app.server.root / "apps" / app.name / "ENV")
    (uploads / "out").symlink_to(app.server.root)
    port = 0 if named else int(app.ps()["php.1"]["address"].rpartition(":")[2])

    def get(path: str) -> str:
        if not named:
            return app.direct(port, path)
        return app.server.get(app.host, path)[2].decode()

    assert get("/?a=1") == "page a=1"
    assert get("/index.php?a=2") == "page a=2"
    assert get("/plain/") == "<p>plain</p>\n"
    assert get("/page/") == "below"
    assert get("/uploads/picture.txt") == "a picture"
    for path in (
        "/part.inc", "//part.inc", "/./part.inc", "/lib/../part.inc", "/part%2einc", "/part.inc/", "/part.inc?a.txt",
        "/lib/class.php", "/lib/class.php/", "/lib/class.php/x.txt", "/lib/class%2Ephp", "/uploads/script.php",
        "/ENV", "/%45NV", "//ENV", "/lib/../ENV", "/Procfile", "/.env", "/lib/.env.local", "/.git/HEAD", "/.%67it/config", "/lib/../.git/config",
        "/env.txt", "/sub/up/ENV", "/sub/up/.git/HEAD", "/self/ENV", "/passwd.txt",
        f"/root/envs/{name}/LIVE_ENV", f"/root/apps/{name}/ENV", "/sub/part.txt", "/uploads/env.txt",
        f"/uploads/out/envs/{name}/LIVE_ENV", f"/uploads/out/apps/{name}/part.inc", "/lib/ENV",
        "/../../../../etc/passwd", "/..%2f..%2f..%2fetc%2fpasswd",
    ):  # fmt: skip
        found = get(path)
        for telling in ("<?php", "secret", "PIKU_PERSIST", "php: .", "ref: ", "[core]", "root:"):
            assert telling not in found, (path, found)


def test_a_front_controller_sees_the_address(new_app: NewApp) -> None:
    keys = "['SCRIPT_NAME', 'PATH_INFO', 'REQUEST_URI']"
    shows = f"<?php foreach ({keys} as $key) echo $_SERVER[$key] ?? '', '|';\n"
    app = new_app(
        "front", {"Procfile": "php: www\n", "www/index.php": shows, "www/ENV": "A=secret"}
    )
    assert app.status("/ENV") == 403
    assert app.body("/orders/7?x=1") == "/index.php||/orders/7?x=1|"
    assert app.body("/index.php/orders/7") == "|/orders/7|/index.php/orders/7|"
    app.server.commit(app.repository, {"www/index.php": None, "www/main.php": shows})
    app.deployed()
    assert app.status("/orders/7") == 404
    assert app.body("/main.php") == "/main.php||/main.php|"


def test_php_answers_many_at_once(new_app: NewApp) -> None:
    """uWSGI's PHP crashes when it has threads."""
    app = new_app(
        "phpcrowd",
        {"Procfile": "php: www\n", "www/index.php": "<?php usleep(10000); echo 'well';\n"},
    )
    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(lambda _: app.body(), range(100))) == {"well"}
    refused = app.says("config:set", "UWSGI_THREADS=4")
    assert refused.returncode == 1
    assert "UWSGI_THREADS: uWSGI cannot run PHP in threads" in refused.stderr + refused.stdout
    app.does("config:set", "UWSGI_PROCESSES=3")
    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(lambda _: app.body(), range(100))) == {"well"}
