"""What the tests of certificates share: an authority, and what a client is shown."""

import socket
import ssl
import subprocess
from pathlib import Path

from sandbox import HOST, Sandbox, tail

from tests.e2e.support import App, web
from tests.extras.certs.pebble import Pebble

PATIENCE = 40.0


def trusting(server: Sandbox, authority: Pebble) -> None:
    """Have the server ask this authority, which its clients then trust."""
    lines = {"ACME_ROOT_CA": authority.directory, **authority.client_env()}
    text = "".join(f"{name}={value}\n" for name, value in lines.items())
    (server.root / "ENV").write_text(text)


def new_app(server: Sandbox, name: str, env: str = "") -> App:
    return App(server=server, name=name, repository=server.repository(name, web(name, env=env)))


def shown(server: Sandbox, host: str) -> dict[str, str]:
    """The certificate that a client is shown, as openssl reads it."""
    address = f"{HOST}:{server.https_port}"
    client = subprocess.run(
        ["openssl", "s_client", "-connect", address, "-servername", host],
        input=b"", capture_output=True, check=False, timeout=10,
    )  # fmt: skip
    said = subprocess.run(
        ["openssl", "x509", "-noout", "-issuer", "-serial", "-ext", "subjectAltName"],
        input=client.stdout, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    pairs = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    return {**pairs, "names": said.rpartition("\n    ")[2].strip()}


def curl(server: Sandbox, host: str, root: Path, *options: str) -> str:
    """What a client gets that trusts this authority alone; fails if the certificate is not for the host."""
    port = server.https_port
    command = [
        "curl",
        "-sS",
        "--fail",
        "--cacert",
        str(root),
        "--resolve",
        f"{host}:{port}:{HOST}",
        *options,
    ]
    done = subprocess.run(
        [*command, f"https://{host}:{port}/"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def is_trusted(server: Sandbox, host: str, root: Path) -> bool:
    context = ssl.create_default_context(cafile=str(root))
    with socket.create_connection((HOST, server.https_port), 10) as plain:
        try:
            context.wrap_socket(plain, server_hostname=host).close()
        except ssl.SSLError:
            return False
        return True


def arrives(app: App, authority: Pebble | Path, host: str = "") -> None:
    """Wait until clients trust the app's certificate; nothing is deployed for it."""
    root = authority if isinstance(authority, Path) else authority.root()
    what = f"{host or app.host} has a certificate"
    try:
        app.server.wait(lambda: is_trusted(app.server, host or app.host, root), PATIENCE, what)
    except TimeoutError:
        print(app.does("certs"), tail(app.server.root / "uwsgi" / "housekeeping.log", 40), sep="\n")
        raise
    # Old workers of nginx may still answer for a moment: this waits until they have gone.
    app.does("certs:renew")


def made(folder: Path, *names: str, days: int = 30) -> tuple[Path, str, str]:
    """A certificate from an authority of the office: the authority's, the key, and the chain."""
    folder.mkdir(exist_ok=True)
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
    ca = folder / "ca.pem"
    if not ca.exists():
        first = [
            "-days",
            "30",
            "-subj",
            "/CN=Office",
            "-keyout",
            str(folder / "ca.key"),
            "-out",
            str(ca),
        ]
        subprocess.run([*new, *first], check=True, capture_output=True)
    places = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    alternatives = ",".join(f"DNS:{name}" for name in names)
    rest = ["-days", str(days), "-subj", "/CN=x", "-addext", f"subjectAltName={alternatives}"]
    signed = [
        "-CA",
        str(ca),
        "-CAkey",
        str(folder / "ca.key"),
        "-addext",
        "basicConstraints=CA:FALSE",
    ]
    subprocess.run([*new, *rest, *signed, *places], check=True, capture_output=True)
    return ca, (folder / "key.pem").read_text(), (folder / "cert.pem").read_text() + ca.read_text()
