"""Another web server on the host, which ends TLS and passes requests on to piku: how that works, and what the
doctor says where it does not. The one in front is a real nginx."""

import http.client
import json
import shlex
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sandbox import HOST, Sandbox, free_ports

from tests.doctor.support import EXAMINE, PIKU, Finding, reports, the_one, with_text
from tests.e2e.conftest import NewApp, started
from tests.e2e.support import App

ECHO = """\
import json

NAMES = ("wsgi.url_scheme", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_FOR", "HTTP_HOST", "HTTPS")

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({name: environ.get(name) for name in NAMES}).encode()]
"""
KNOWN = "127.0.0.1 shown.localhost"
PUBLIC = "shown.piku-doctor.dev"
SHOWN = f"""\
NGINX_SERVER_NAME=shown.localhost,{PUBLIC}
NGINX_HTTPS_ONLY=true
ACME_ROOT_CA=https://127.0.0.1:1/directory
"""
TELLING = """\
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
"""
BY_HTTP = "        proxy_pass http://{host}:{http};\n" + TELLING
BY_HTTPS = """\
        proxy_pass https://{host}:{https};
        proxy_ssl_server_name on;
        proxy_ssl_name $host;
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $remote_addr;
"""


def front(folder: Path, server: Sandbox, passing: str, *, http_port: int, https_port: int) -> Path:
    """The configuration of an nginx that stands before a server of piku's."""
    folder.mkdir(exist_ok=True)
    if not (folder / "own.pem").exists():
        new = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ]
        names = [
            "-subj",
            "/CN=front",
            "-keyout",
            str(folder / "own.key"),
            "-out",
            str(folder / "own.pem"),
        ]
        subprocess.run([*new, *names], check=True, capture_output=True)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "\n".join(f"    {kind}_temp_path {folder}/{kind};" for kind in kinds)
    location = passing.format(host=HOST, http=server.http_port, https=server.https_port)
    config = folder / "nginx.conf"
    config.write_text(
        f"""\
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
{places}
    access_log off;
    server {{
        listen {HOST}:{http_port};
        location / {{ return 301 https://$host$request_uri; }}
    }}
    server {{
        listen {HOST}:{https_port} ssl;
        ssl_certificate {folder}/own.pem;
        ssl_certificate_key {folder}/own.key;
        location / {{
{location}        }}
    }}
}}
"""
    )
    return config


@contextmanager
def running(config: Path, port: int) -> Iterator[None]:
    command = ["nginx", "-e", "stderr", "-c", str(config), "-g", "daemon off;"]
    with subprocess.Popen(command) as nginx:
        try:
            Sandbox.wait(lambda: _accepts(port))
            yield
        finally:
            nginx.terminate()


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def asked(port: int, host: str) -> tuple[int, str, bytes]:
    context = ssl._create_unverified_context()  # noqa: S323
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    connection.sock = context.wrap_socket(
        socket.create_connection((HOST, port)), server_hostname=host
    )
    try:
        connection.request("GET", "/", headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.headers["Location"] or "", answer.read()
    finally:
        connection.close()


def test_https_is_passed_on_as_https(server: Sandbox, new_app: NewApp, tmp_path: Path) -> None:
    """What docs/install.md and the doctor say of an nginx in front."""
    settings = "NGINX_SERVER_NAME={0}.localhost\nNGINX_HTTPS_ONLY={1}\n"
    names = {"alpha": "true", "beta": "false"}
    for name, only in names.items():
        files = {"Procfile": "wsgi: app:app\n", "app.py": ECHO, "ENV": settings.format(name, only)}
        new_app(name, files)
    plain, port = free_ports(2)
    with running(front(tmp_path / "f", server, BY_HTTP, http_port=plain, https_port=port), port):
        status, location, _ = asked(port, "alpha.localhost")
        assert (status, location) == (301, f"https://alpha.localhost:{server.https_port}/")
        status, _, body = asked(port, "beta.localhost")
        # The header does not come through: nginx says by which protocol it was asked itself.
        told = json.loads(body)
        assert (told["wsgi.url_scheme"], told["HTTP_X_FORWARDED_PROTO"]) == ("http", "http")
    with running(front(tmp_path / "f", server, BY_HTTPS, http_port=plain, https_port=port), port):
        # In turns: a TLS session that the one in front keeps is not taken for that of another app.
        for name in [*names] * 5:
            status, _, body = asked(port, f"{name}.localhost")
            told = json.loads(body)
            assert status == 200
            assert (told["wsgi.url_scheme"], told["HTTP_X_FORWARDED_PROTO"]) == ("https", "https")
            assert told["HTTP_HOST"] == f"{name}.localhost"
            assert told["HTTP_X_FORWARDED_FOR"].startswith("127.0.0.1")


def examined_alone(
    server: Sandbox, *configs: Path, hosts: str = KNOWN, words: str = ""
) -> list[Finding]:
    """What the doctor says of the app "shown" in a network of its own, where piku's nginx is started, and those with
    these configurations, which may have the visitors' ports."""
    every = " ".join(str(one) for one in (server.root / "nginx.conf", *configs))
    (server.home / "hosts").write_text(f"127.0.0.1 localhost\n{hosts}\n")
    (server.home / "nsswitch").write_text("hosts: files\npasswd: files\n")
    port = 443 if configs else server.https_port
    script = f"""\
set -e
piku() {{ {shlex.quote(PIKU)} "$@"; }}
ip link set lo up
mount --bind hosts /etc/hosts; mount --bind nsswitch /etc/nsswitch.conf
for one in {every}; do nginx -e stderr -c $one -g 'daemon off;' & done
for _ in $(seq 100); do (echo >/dev/tcp/{HOST}/{port}) 2>/dev/null && break; sleep 0.1; done
{EXAMINE.replace("doctor", f"doctor shown {words}")}
kill $(jobs -p)
wait
"""
    command = [
        "unshare",
        "-Unmf",
        "--kill-child",
        "--map-current-user",
        "--keep-caps",
        "bash",
        "-c",
        script,
    ]
    ran = subprocess.run(
        command, env=server.server_env(), capture_output=True, text=True, check=False,
        cwd=server.home, stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (found,) = reports(ran.stdout)
    return found


@pytest.fixture(scope="module")
def shown() -> Iterator[Sandbox]:
    """A server that does not run, with a static site that is served by https alone."""
    for server in started():
        files = {"Procfile": "static: public\n", "ENV": SHOWN, "public/index.html": "front"}
        App(server=server, name="shown", repository=server.repository("shown", files)).deployed()
        server.stop_platform()
        yield server


def test_what_is_passed_on_as_http_goes_round(shown: Sandbox, tmp_path: Path) -> None:
    config = front(tmp_path / "f", shown, BY_HTTP, http_port=80, https_port=443)
    text = "the web server before piku passes https on as http, and NGINX_HTTPS_ONLY sends http to https"
    wrong = the_one(examined_alone(shown, config), text, fix=f"https://{HOST}:{shown.https_port};")
    assert (
        f"https://shown.localhost/ is sent to https://shown.localhost:{shown.https_port}/"
        in wrong["detail"]
    )
    # What it says is done.
    front(tmp_path / "f", shown, wrong["fix"].partition(": ")[2], http_port=80, https_port=443)
    mended = examined_alone(shown, config)
    assert not with_text(mended, "passes https on as http")
    # Browsers meet the certificate of the one in front.
    assert not with_text(mended, "self-signed")
    assert with_text(examined_alone(shown), "its certificate is self-signed: browsers warn")


def online(server: Sandbox, address: str, *configs: Path) -> Finding:
    """What `--online` says of the app's public name, when that has this address."""
    found = examined_alone(server, *configs, hosts=f"{address} {PUBLIC}", words="--online")
    (said,) = (
        one for one in found if one["check"] == "names" and f"{PUBLIC} leads " not in one["what"]
    )
    return said


def test_visitors_come_to_the_standard_port(shown: Sandbox, tmp_path: Path) -> None:
    alone = online(shown, "127.0.0.1")
    assert alone["what"] == f"{PUBLIC} reaches this server from outside, at port {shown.http_port}"
    config = front(tmp_path / "f", shown, BY_HTTPS, http_port=80, https_port=443)
    redirected = online(shown, "127.0.0.1", config)
    assert redirected["what"] == f"{PUBLIC} reaches a proxy, which redirects to https"
    text = config.read_text()
    by_http = f"proxy_pass http://{HOST}:{shown.http_port}; proxy_set_header Host $host;"
    config.write_text(text.replace("return 301 https://$host$request_uri;", by_http))
    assert (
        online(shown, "127.0.0.1", config)["what"] == f"{PUBLIC} reaches this server from outside"
    )
    config.write_text(text.replace("return 301 https://$host$request_uri;", "return 404;"))
    kept = online(shown, "127.0.0.1", config)
    assert (
        kept["severity"],
        "reaches the web server before piku, which answers 404" in kept["what"],
    ) == (
        "ok",
        True,
    )


def test_a_router_that_does_not_answer_from_inside(shown: Sandbox) -> None:
    found = online(shown, "9.9.9.9")
    assert found["severity"] == "warning"
    assert "many a router lets no machine behind it ask by its own public address" in found["what"]
    assert f"curl -I http://{PUBLIC}/" in found["fix"]
