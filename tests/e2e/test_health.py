"""A release that cannot answer replaces none that can."""

from collections.abc import Callable

from tests.e2e.support import App, transcript, web, wsgi

# As gunicorn with an application that cannot be imported: the port is open, nobody answers, it ends.
MASTER = """\
import os, socket, sys, time
listener = socket.create_server((os.environ["BIND_ADDRESS"], int(os.environ["PORT"])))
time.sleep(1)
sys.exit("Worker failed to boot: No module named 'shop'")
"""
ASGI = "async def app(scope, receive, send):\n    raise RuntimeError\n"
TALKER = """\
import os, socketserver
class Talker(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"SSH-2.0-talker\\r\\n")
socketserver.ThreadingTCPServer.allow_reuse_address = True
address = (os.environ["BIND_ADDRESS"], int(os.environ["PORT"]))
socketserver.ThreadingTCPServer(address, Talker).serve_forever()
"""
BROKEN = "def app(environ, start_response):\n    raise LookupError('no such table')\n"


def test_one_that_listens_and_ends_is_refused(new_app: Callable[..., App]) -> None:
    app = new_app("boots")
    app.commit(Procfile="web: exec python3 -IS master.py\n", master_py=MASTER)
    said = app.failed()
    assert any("web.1 ended with exit code" in line for line in said)
    assert any("Worker failed to boot" in line for line in said)
    assert app.body() == "one"


def test_one_that_fails_where_the_live_one_answers_is_refused(new_app: Callable[..., App]) -> None:
    app = new_app("errs", wsgi("errs"))
    pid = app.about()["pid"]
    app.commit(app_py=BROKEN)
    result = app.push()
    assert result.returncode == 1
    said = transcript(result)
    assert any(
        "wsgi.1 answers / with 502, where the live release answers 200" in line for line in said
    )
    assert any("LookupError: no such table" in line for line in said)
    assert app.about()["pid"] == pid


def test_a_first_release_that_fails_goes_live_with_a_warning(new_app: Callable[..., App]) -> None:
    app = new_app("first", {**wsgi("first"), "app.py": BROKEN}, push=False)
    said = app.deployed()
    assert any("wsgi.1 answers / with 502" in line for line in said)
    assert app.status() >= 500
    app.commit(app_py=BROKEN + "\n")  # the live one is no better
    app.deployed()


def test_an_asgi_application_under_wsgi_does_not_go_live(new_app: Callable[..., App]) -> None:
    app = new_app("asgi", {**wsgi("asgi"), "app.py": ASGI}, push=False)
    assert any("wsgi.1 answers / with 50" in line for line in app.failed())


def test_a_program_that_speaks_no_http_may_say_so(new_app: Callable[..., App]) -> None:
    files = {**web("talks", env="PIKU_DEPLOY_TIMEOUT=10\n"), "server.py": TALKER}
    app = new_app("talks", files, push=False)
    assert any("PIKU_HEALTHCHECK=tcp allows that" in line for line in app.failed())
    app.does("config:set", "PIKU_HEALTHCHECK=tcp")
    app.deployed()
