"""Deploys from another repository and from archives, as their users see them."""

import http.server
import io
import json
import ssl
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from sandbox import Completed, Sandbox

from tests.e2e.support import WEB, App, web

CLIENT = Path(__file__).resolve().parents[3] / "bin" / "piku"


def files(**more: str) -> dict[str, str]:
    """A `web` app whose repository says nothing of its host name."""
    return {**{k: v for k, v in web("x").items() if k != "ENV"}, **more}


def test_from_a_repository_with_a_deploy_key(new_app: Callable[..., App], server: Sandbox) -> None:
    origin = new_app("origin", files())
    copy = App(server=server, name="copy", repository=server.client / "copy")
    url = f"ssh://{server.address}:{server.ssh_port}/origin"
    # Without a key it says how to get one, and leaves nothing.
    failed = copy.says("deploy", "--from", url)
    assert failed.returncode == 1 and f"{url} cannot be fetched" in failed.stderr
    assert "piku deploy-key copy" in failed.stderr
    assert "127.0.0.1 was not known here" in failed.stdout
    key = copy.asked("deploy-key")
    assert key.stdout.startswith("ssh-ed25519 ") and "Deploy keys" in key.stderr
    assert copy.does("deploy-key") == key.stdout
    assert server.piku("setup:ssh", "-", "--name", "copy", input=key.stdout).returncode == 0
    assert "copy\n" not in server.piku("apps").stdout
    for wrong in ("nothing", "0" * 40):
        assert copy.says("deploy", "--from", f"{url}#{wrong}").returncode == 1
    assert "copy\n" not in server.piku("apps").stdout

    said = copy.does("deploy", "--from", url)
    assert "v1 is live" in said and "piku pull copy" in said
    copy.does("config:set", "NGINX_SERVER_NAME=copy.localhost")
    assert copy.body() == "one"

    # A pull deploys what is new there; what fails leaves the release and the branch as they are.
    assert "Nothing new" in copy.does("pull")
    origin.commit(version_txt="two")
    origin.deployed()
    assert "v3 is live" in copy.does("pull")
    assert copy.body() == "two"
    broken = origin.commit(Procfile=WEB + "release: test $APP = origin\n")
    origin.deployed()
    assert copy.says("pull").returncode == 1
    assert copy.body() == "two"
    copy.does("rollback")
    assert copy.body() == "one"
    newest = copy.releases()[0]
    assert newest["kind"] == "rollback" and copy.releases()[1]["commit"] == broken

    # A tag and a branch by name; then a push, for which it is a branch like any other.
    server.git(origin.repository, "tag", "-a", "v1", "-m", "One", "main~2")
    server.git(origin.repository, "push", "--quiet", server.remote("origin"), "v1")
    copy.does("deploy", "--from", f"{url}#v1")
    assert copy.body() == "one"
    server.git(origin.repository, "checkout", "--quiet", "-b", "next", "main~1")
    origin.commit(version_txt="next")
    origin.deployed("next")
    copy.does("deploy", "--from", f"{url}#next")
    assert copy.body() == "next"
    server.git(server.client, "clone", "--quiet", server.remote("copy"), str(copy.repository))
    assert server.git(copy.repository, "branch", "--show-current").stdout == "main\n"
    copy.commit(version_txt="pushed")
    copy.deployed()
    assert copy.body() == "pushed"

    # Of a repository with several apps, a pull deploys what changes this one.
    server.git(origin.repository, "checkout", "--quiet", "main")
    moved = {f"back/{name}": text for name, text in files(version_txt="back").items()}
    moved = {name.replace("_", "."): text for name, text in moved.items()}
    server.commit(origin.repository, {**moved, "Procfile": WEB})
    origin.deployed()
    copy.does("deploy", "--from", f"{url}#main")
    copy.does("config:set", "PIKU_APP_DIR=back")
    assert copy.body() == "back"
    before = copy.live()
    origin.commit(README="Changed.\n")
    origin.deployed()
    assert "Nothing in back has changed" in copy.does("pull")
    assert copy.live() == before
    key_file = server.root / "envs" / "copy" / "deploy_key"
    assert key_file.stat().st_mode & 0o777 == 0o600
    copy.does("destroy", "--force")
    assert not key_file.exists()
    assert not list(server.root.rglob("*incoming*"))


@pytest.fixture
def https(server: Sandbox, tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """Serve a repository over HTTPS; returns its address."""
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    make = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]  # fmt: skip
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as listener:
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        config = ["config", "--file", str(server.home / ".gitconfig"), "http.sslCAInfo"]
        server.git(tmp_path, *config, str(certificate))

        def address(repository: Path) -> str:
            server.git(tmp_path, "clone", "--quiet", "--bare", str(repository), "shop.git")
            server.git(tmp_path / "shop.git", "update-server-info")
            return f"https://localhost:{listener.server_address[1]}/shop.git"

        yield address
        listener.shutdown()


def test_from_a_public_repository(server: Sandbox, https: Callable[[Path], str]) -> None:
    repository = server.repository("public", files(ENV="NGINX_SERVER_NAME=public.localhost\n"))
    server.git(repository, "branch", "--move", "trunk")
    app = App(server=server, name="public", repository=repository)
    url = https(repository)
    said = app.asked("deploy", "--from", url)
    assert said.returncode == 0 and "v1 is live" in said.stdout, said.stderr
    assert app.body() == "one"
    # Its default branch became the one that deploys.
    app.commit(version_txt="two")
    app.deployed("trunk")
    assert app.body() == "two"
    source = json.loads((server.root / "envs" / "public" / "source.json").read_text())
    assert source == {"url": url, "ref": "trunk"}
    missing = app.says("deploy", "--from", f"{url}.gone")
    assert missing.returncode == 1 and "is it public?" in missing.stderr
    assert app.says("deploy", "--from", "file:///etc").returncode == 2


def sent(server: Sandbox, command: str, data: bytes) -> Completed:
    """A command over SSH, with bytes on its standard input."""
    argv = ["ssh", *server.ssh_options(), server.address, command]
    done = subprocess.run(argv, input=data, capture_output=True, check=False)
    return Completed(argv, done.returncode, done.stdout.decode(), done.stderr.decode())


def archived(repository: Path, *words: str) -> bytes:
    run = ["git", "-C", str(repository), "archive", *words, "HEAD"]
    return subprocess.run(run, check=True, capture_output=True).stdout


def test_an_archive(server: Sandbox, new_app: Callable[..., App], tmp_path: Path) -> None:
    app = new_app("tarred", push=False)
    command = "deploy tarred --archive -"
    # What is refused makes no app.
    for data in (b"no tar", archived(app.repository)[:3000]):
        assert sent(server, command, data).returncode == 1
    assert sent(server, "deploy absent --archive /nothing.tar", b"").returncode == 1
    for words in ("deploy absent", "deploy absent --dry-run", "pull absent"):
        assert "there is no app called 'absent'" in sent(server, words, b"").stderr
    assert "tarred" not in server.piku("apps").stdout
    said = sent(server, command, archived(app.repository, "--format=tar.gz", "--prefix=tarred-1/"))
    assert said.returncode == 0 and "v1 is live" in said.stdout, said.stderr
    assert app.body() == "one"

    # On a laptop, a file is sent; the next archive has its own files only.
    app.commit(version_txt="two", worker_py="pass\n")
    file = tmp_path / "tree.tar"
    file.write_bytes(archived(app.repository))
    laptop = {**server.git_env(), "PIKU_SERVER": f"ssh://{server.address}:{server.ssh_port}"}
    run = [str(CLIENT), "--app", "tarred", "deploy", "--archive", "tree.tar"]
    done = subprocess.run(
        run, env=laptop, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "v2 is live" in done.stdout, done.stdout + done.stderr
    assert app.body() == "two"
    (tmp_path / "one.tar").write_bytes(archived(app.repository))
    with tarfile.open(tmp_path / "one.tar", "a") as tar:
        tar.addfile(broken := tarfile.TarInfo("Procfile"), io.BytesIO())
        assert broken.size == 0
    failed = app.says("deploy", "--archive", str(tmp_path / "one.tar"))
    assert failed.returncode == 1 and "v3 failed" in failed.stderr
    assert app.body() == "two"
    app.does("rollback")
    assert app.body() == "one"

    # A push onto it goes on from there.
    copy = server.client / "tarred-copy"
    server.git(server.client, "clone", "--quiet", server.remote("tarred"), str(copy))
    assert server.git(copy, "log", "--format=%s").stdout.count("Archive of") == 2
    assert (copy / "version.txt").read_text() == "two"
    server.commit(copy, {"version.txt": "three"})
    assert server.push(copy, "tarred").returncode == 0
    assert app.body() == "three"
    refused = app.push()
    assert refused.returncode != 0 and "fetch first" in refused.stdout
    app.deployed("+main")
    assert app.body() == "two"
    assert not list(server.root.rglob("*incoming*"))
