"""The examples of this repository, pushed as they are, and what a person sees of it."""

import re
import zipfile
from collections.abc import Callable

from tests.e2e.support import CHECKOUT, App, wsgi

EXAMPLES = CHECKOUT / "examples"


def check(said: list[str], *expected: str) -> None:
    """See that these patterns match lines of a transcript, in this order."""
    position = 0
    for pattern in expected:
        found = (i for i in range(position, len(said)) if re.fullmatch(pattern, said[i]))
        position = next(found, -1) + 1
        assert position, f"{pattern!r} is not where it should be in:\n" + "\n".join(said)


def test_python_wsgi(new_app: Callable[..., App]) -> None:
    app = new_app("hello", EXAMPLES / "python-wsgi", push=False)
    said = app.deployed()
    check(
        said,
        r"-----> Release v1 of hello: [0-9a-f]{8} 'First version'",
        r"-----> Python.*",
        r"-----> Starting wsgi\.1",
        r"       healthy after \d\.\d\d s",
        r"-----> v1 is live after .*",
        r"       It answers at http://hello\.localhost.*",
    )
    assert all(line.startswith(("-----> ", "       ")) for line in said if line), said
    assert "Hello from Piku" in app.body()
    assert "release 1." in app.body(https=True)
    (row,) = app.ps().values()
    assert row["state"] == "up"

    app.commit(
        "Another greeting",
        app_py=(app.repository / "app.py").read_text().replace("Hello", "Goodbye"),
    )
    said = app.deployed()
    check(
        said,
        r"-----> Release v2 of hello: .* 'Another greeting'",
        r"       Reusing python-[0-9a-f]{16}: .*",
    )
    assert "Goodbye from Piku" in app.body()
    assert "release 2." in app.body()


def test_web(new_app: Callable[..., App]) -> None:
    app = new_app("webby", EXAMPLES / "web", push=False)
    said = app.deployed()
    check(
        said,
        r"-----> Release v1 of webby: .*",
        r"-----> Generic app",
        r"-----> Release: test -w \"\$DATA_ROOT\"",
        r"-----> Starting web\.1",
        r"-----> v1 is live after .*",
    )
    assert app.body(host="web.localhost") == "Hello from a web process, release 1\n"
    app.commit(server_py="def broken(:\n")
    said = app.failed()
    check(
        said,
        r"       SyntaxError: .*",
        r" !     v2 failed at starting its processes: web\.1 ended with exit code 1 while it was starting",
        r" !     v1 \([0-9a-f]{8}\) still runs, as before",
        r" !     The branch was put back.*",
    )
    assert app.body(host="web.localhost", https=True) == "Hello from a web process, release 1\n"


def test_static_site(new_app: Callable[..., App]) -> None:
    app = new_app("pages", EXAMPLES / "static-site", push=False)
    check(app.deployed(), r"-----> Static site", r"-----> v1 is live after .*")
    assert "<h1>A static site</h1>" in app.body(host="site.localhost")
    status, headers, _ = app.server.get("site.localhost", "/style.css")
    assert (status, headers.get_content_type()) == (200, "text/css")
    assert app.server.get("site.localhost", "/../Procfile")[0] in (400, 404)


def test_worker(new_app: Callable[..., App]) -> None:
    app = new_app("ticker", EXAMPLES / "worker", push=False)
    check(
        app.deployed(),
        r"-----> Starting web\.1",
        r"-----> Starting worker\.1",
        r"-----> v1 is live.*",
    )
    app.server.wait(lambda: "1 ticks" in app.body(host="worker.localhost"))
    assert "release 1" in app.body(host="worker.localhost")
    assert {name: row["state"] for name, row in app.ps().items()} == {
        "web.1": "up",
        "worker.1": "up",
    }


def wheel(app: App, text: str) -> None:
    """A package without dependencies, which pip installs without asking anybody."""
    with zipfile.ZipFile(app.repository / "greeting-1.0-py3-none-any.whl", "w") as file:
        file.writestr("greeting.py", f"TEXT = {text!r}\n")
        info = "greeting-1.0.dist-info"
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")


def test_requirements_are_built_once_and_beside_each_other(new_app: Callable[..., App]) -> None:
    files = {
        **wsgi("packages", env="PYTHON_VERSION=3.11\n"),
        "app.py": "import greeting\nfrom wsgi import app\nimport wsgi\nwsgi.VERSION = greeting.TEXT\n",
        "wsgi.py": wsgi("packages")["app.py"],
        "requirements.txt": "./greeting-1.0-py3-none-any.whl\n",
    }
    app = new_app("packages", files, push=False)
    wheel(app, "first")
    app.commit("With a package")
    said = app.deployed()
    check(
        said, r"-----> Python.*building python-.*", r"       .*Successfully installed greeting-1\.0"
    )
    assert app.body() == "first"
    about = app.about()["env"]
    assert about["VIRTUAL_ENV"].startswith(f"{app.server.root}/envs/packages/python-")
    assert about["PATH"].startswith(f"{about['VIRTUAL_ENV']}/bin:")
    assert app.does("run", "python -c 'import greeting; print(greeting.TEXT)'") == "first\n"

    # What can be checked before anything is stopped or built costs nothing.
    app.commit(ENV="NGINX_SERVER_NAME=packages.localhost\nPYTHON_VERSION=3.99\n")
    said = app.failed()
    assert any("PYTHON_VERSION" in line and "3.99" in line for line in said)
    app.commit(
        ENV="NGINX_SERVER_NAME=packages.localhost\n", requirements_txt="./no-such-package.whl\n"
    )
    said = app.failed()
    check(
        said,
        r" !     v3 failed at building its environment: .*pip install.*",
        r".*",
        r" !     v1 .* still runs.*",
    )
    assert app.body() == "first"

    # Going back and forth between two environments builds none again.
    wheel(app, "second")
    app.commit("Another package", requirements_txt="./greeting-1.0-py3-none-any.whl\n")
    check(app.deployed(), r"-----> Python.*building python-.*")
    assert app.body() == "second"
    assert app.about()["env"]["VIRTUAL_ENV"] != about["VIRTUAL_ENV"]
    said = app.does("rollback", "v1").splitlines()
    assert not any("building" in line or "installed" in line for line in said)
    check(said, r"       Reusing the build of v\d+: .*")
    assert app.body() == "first"
    assert app.about()["env"]["VIRTUAL_ENV"] == about["VIRTUAL_ENV"]

    # Environments and checkouts that no kept release uses go away.
    app.does("config:set", "PIKU_KEEP_RELEASES=1")
    envs = [path.name for path in (app.server.root / "envs/packages").iterdir() if path.is_dir()]
    assert envs == [about["VIRTUAL_ENV"].rpartition("/")[2]]
    assert app.body() == "first"
