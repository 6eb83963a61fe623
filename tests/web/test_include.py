"""A file of the app's own directives: judged before it is used, with the user's file and line."""

import http.client
import shutil

import pytest
from sandbox import Sandbox

from tests.e2e.conftest import NewApp
from tests.web.client import answers, of


def test_an_include_file(new_app: NewApp, server: Sandbox) -> None:
    bystander = new_app("bystander", answers("wsgi", "bystander"))
    good = (
        "add_header X-Own yes always;\nlocation /hello {\n    default_type text/plain;\n"
        '    return 200 "from the include";\n}\n'
    )
    files = {
        **answers("web", "include", "NGINX_INCLUDE_FILE=deploy/nginx.conf\n"),
        "deploy/nginx.conf": good,
    }
    app = new_app("include", files)

    def serves() -> None:
        assert of(app, "/hello").text == "from the include"
        assert of(app, "/").header("X-Own") == "yes"
        assert of(app, "/").json["path"] == "/"

    serves()
    for text, words in (
        (
            "add_header X-Own no;\n\nsendfile perhaps;\n",
            'invalid value "perhaps" in "sendfile" directive, it must be "on" or "off" in deploy/nginx.conf:3',
        ),
        ("location / { return 204; }\n", 'duplicate location "/" in deploy/nginx.conf:1'),
        ("}\nserver {\n", 'unexpected "}" in deploy/nginx.conf:1'),
        (None, "NGINX_INCLUDE_FILE=deploy/nginx.conf: there is no such file in this commit"),
    ):
        server.git(app.repository, "reset", "--quiet", "--hard", "HEAD")
        start = server.git(app.repository, "rev-parse", "HEAD").stdout.strip()
        server.commit(app.repository, {"deploy/nginx.conf": text})
        said = "\n".join(app.failed())
        assert words in said, said
        assert str(server.root) not in said and "include@" not in said
        assert "v1 (" in said and "still runs, as before" in said
        serves()
        server.git(app.repository, "reset", "--quiet", "--hard", start)
    # Nobody else is kept from deploying, before and after nginx starts anew.
    bystander.commit(version_txt="two")
    bystander.deployed()
    assert of(bystander, "/").json["path"] == "/"
    server.commit(app.repository, {"deploy/nginx.conf": good.replace("from the", "from another")})
    app.deployed()
    assert of(app, "/hello").text == "from another include"
    app.does("rollback")
    serves()


def test_an_include_that_becomes_wrong_later_is_its_own_apps_problem(
    own_server: Sandbox, new_app: NewApp
) -> None:
    logs = own_server.root / "data" / "rotten" / "logs"
    files = {
        **answers("web", "rotten", "NGINX_INCLUDE_FILE=nginx.conf\n"),
        "nginx.conf": f'access_log "{logs}/own.log";\nadd_header X-Extra yes;\n',
    }
    rotten = new_app("rotten", files, push=False, on=own_server)
    logs.mkdir(parents=True)
    rotten.deployed()
    assert of(rotten, "/").header("X-Extra") == "yes"
    shutil.rmtree(logs)
    other = new_app("healthy", answers("wsgi", "healthy"), push=False, on=own_server)
    said = "\n".join(other.deployed())
    assert "rotten is NOT served: nginx refuses the configuration: open()" in said
    assert of(other, "/").status == 200
    with pytest.raises(http.client.RemoteDisconnected):  # its host is nobody's now
        rotten.status()
    again = rotten.says("restart")
    assert again.returncode == 1 and "nginx refuses the configuration" in again.stderr
    other.does("config:set", "NGINX_CATCH_ALL=/none")
    # Mended and deployed again, it is back.
    logs.mkdir()
    rotten.does("deploy")
    assert of(rotten, "/").header("X-Extra") == "yes"

    # Where no deploy is told of it, the others are served all the same.
    shutil.rmtree(logs)
    other.does("stop")
    assert of(other, "/").status == 503
    other.does("restart")
    assert of(other, "/").status == 200
