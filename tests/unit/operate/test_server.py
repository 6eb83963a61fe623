"""Setting a server up."""

from __future__ import annotations

import subprocess
from pathlib import Path

from piku.nginx import service
from piku.operate import server
from piku.paths import AppName, Paths
from piku.tls import certificate as certificate_module


def test_setup_makes_what_is_missing_and_nothing_else(tmp_path: Path) -> None:
    paths = Paths(root=tmp_path / "root", home=tmp_path)
    assert set(server.setup(paths)) >= {"apps", "repos", "uwsgi.ini", "nginx.conf", "ENV"}
    paths.server_env.write_text("A=1\n")
    (paths.root / "data" / "x").mkdir()
    assert server.setup(paths) == []
    assert paths.server_env.read_text() == "A=1\n"
    (paths.root / "cache").rmdir()
    paths.emperor_ini.write_text("changed")
    assert server.setup(paths) == ["cache", "uwsgi.ini"]
    for name in Paths.FOLDERS:
        assert (paths.root / name).stat().st_mode & 0o7 == 0, f"{name} is open to everybody"
    assert (
        paths.server_env.stat().st_mode & 0o777 == 0o600 or paths.server_env.read_text() == "A=1\n"
    )


def test_the_real_nginx_accepts_the_main_configuration(paths: Paths) -> None:
    service.check(paths, {})


def test_a_certificate_is_for_its_names_and_its_key_is_private(paths: Paths) -> None:
    app = paths.app(AppName("shop"))
    names = ("a.example", "*.b.example", f"{'long.' * 20}example")
    found = certificate_module.certificate(app, names)
    certificate = Path(found.path)
    assert certificate.stat().st_mode & 0o077 == 0
    command = ["openssl", "x509", "-in", str(certificate), "-noout", "-text"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert all(f"DNS:{name}" in text for name in names)
    assert "prime256v1" in text
    before = certificate.read_bytes()
    assert certificate_module.certificate(app, names) == found
    assert certificate.read_bytes() == before
    assert [path.name for path in paths.nginx.iterdir() if path.name.startswith(".")] == []
