"""Which line of a log says why a program ended, and what is advised."""

from __future__ import annotations

import pytest

from piku.extras.reasons import reasons
from tests.e2e.conftest import NewApp
from tests.e2e.support import wsgi

STACK = [f"    at Module._load (node:internal/modules/cjs/loader:{n})" for n in range(30)]
LOGS = [
    (
        ["node:internal/modules/cjs/loader:1143", "  throw err;", "  ^", "",
         "Error: Cannot find module 'express'", *STACK, "Node.js v18.19.0"],
        "Error: Cannot find module 'express'",
        "npm install express",
    ),
    (
        ["node:events:491", "Error: listen EADDRINUSE: address already in use :::3000", *STACK],
        "Error: listen EADDRINUSE: address already in use :::3000",
        "piku config:set shop PIKU_DEPLOY_STRATEGY=recreate",
    ),
    (
        ["Traceback (most recent call last):", '  File "app.py", line 1, in <module>',
         "ModuleNotFoundError: No module named 'flask.views'", "[piku] web.1 ended with exit code 1"],
        "ModuleNotFoundError: No module named 'flask.views'",
        "the module flask ",
    ),
    (
        ["Traceback (most recent call last):", "django.core.exceptions.ImproperlyConfigured: no key"],
        "django.core.exceptions.ImproperlyConfigured: no key",
        "",
    ),
    (
        ['Exception in thread "main" java.lang.IllegalStateException: no bean', "\tat a.B.c(B.java:1)",
         "Caused by: java.net.ConnectException: Connection refused", "\t... 12 more"],
        "Caused by: java.net.ConnectException: Connection refused",
        "",
    ),
    (
        ["panic: dial tcp 127.0.0.1:5432: connection refused", "", "goroutine 1 [running]:", "main.main()"],
        "panic: dial tcp 127.0.0.1:5432: connection refused",
        "",
    ),
    (
        ["config.ru:1:in `require': cannot load such file -- sinatra (LoadError)", "\tfrom config.ru:1"],
        "config.ru:1:in `require': cannot load such file -- sinatra (LoadError)",
        "bundle add sinatra",
    ),
    (
        ["PHP Fatal error:  Uncaught Error: Class \"App\" not found in /x/index.php:3", "Stack trace:"],
        "PHP Fatal error:  Uncaught Error: Class \"App\" not found in /x/index.php:3",
        "",
    ),
    (
        ["bash: line 1: gunicorn: command not found"],
        "bash: line 1: gunicorn: command not found",
        "no program gunicorn",
    ),
    (
        ["Error: Cannot find module '@acme/api/dist/client'", *STACK],
        "Error: Cannot find module '@acme/api/dist/client'",
        "npm install @acme/api,",
    ),
    (
        ["Error: Cannot find module '/home/piku/.piku/releases/shop/v3/dist/index.js'"],
        "Error: Cannot find module '/home/piku/.piku/releases/shop/v3/dist/index.js'",
        "dist/index.js is not in this release",
    ),
    (['npm ERR! Missing script: "start"'], "", 'add "start" to the scripts of package.json'),
    (
        ["ModuleNotFoundError: No module named 'server'"],
        "ModuleNotFoundError: No module named 'server'",
        "commit server.py, or correct the name",
    ),
    (
        ["    raise KeyError(key) from None", "KeyError: 'DATABASE_URL'"],
        "KeyError: 'DATABASE_URL'",
        "piku config:set shop DATABASE_URL=…",
    ),
    (
        ["Error: listen EACCES: permission denied 0.0.0.0:80"],
        "Error: listen EACCES: permission denied 0.0.0.0:80",
        "a port below 1024",
    ),
    (["Listening on 3000", "Error handling is on"], "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("log", "line", "advice"), LOGS)
def test_logs(log: list[str], line: str, advice: str) -> None:
    assert reasons.report(log) == line
    said = reasons.remedy("\n".join(log), app="shop", command="node server.js")
    assert advice in said and bool(said) == bool(advice)


def test_the_line_that_says_why_comes_first(new_app: NewApp) -> None:
    broken = (
        "import os, sys, time\nif os.path.exists('ran'): time.sleep(60)\nopen('ran', 'w')\n"
        "print('Error: no table orders')\nfor n in range(40): print(n)\nsys.exit(4)\n"
    )
    app = new_app(
        "why", {"Procfile": "web: python3 -u server.py\n", "server.py": broken}, push=False
    )
    said = app.failed()
    at = said.index("       Error: no table orders")
    assert said[at + 1] == "       …"
    assert "       39" in said and "       5" not in said
    assert any("web.1 ended with exit code 4 while it was starting" in line for line in said)


def test_a_web_process_that_comes_to_its_end(new_app: NewApp) -> None:
    app = new_app("short", {"Procfile": "web: echo served\n"}, push=False)
    said = "\n".join(app.failed())
    assert "it must run on, and listen on $PORT: echo served" in said


def test_an_asgi_application_under_uwsgi(new_app: NewApp) -> None:
    asgi = "async def app(scope, receive, send):\n    raise RuntimeError\n"
    app = new_app("async", {**wsgi("async"), "app.py": asgi}, push=False)
    assert "app:app is an ASGI application" in "\n".join(app.failed())


def test_ps_says_that_an_app_is_not_served(new_app: NewApp) -> None:
    app = new_app("shut", wsgi("shut"))
    assert "NOT served" not in app.does("ps")
    (app.server.root / "nginx" / "shut.conf.refused").touch()  # as a failed reload leaves it
    assert "shut is NOT served: nginx refuses shut.conf.refused; deploy it again" in app.does("ps")
    app.does("deploy")
    assert "NOT served" not in app.does("ps")
