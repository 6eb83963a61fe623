"""scp in both its forms, and sftp: files of the piku root, and nothing beside them."""

from pathlib import Path

import pytest
from sandbox import Completed, Sandbox, run


def scp(server: Sandbox, *words: str) -> Completed:
    return run(["scp", *server.ssh_options(), *words], env=server.client_env(), cwd=server.client)


def sftp(server: Sandbox, *lines: str) -> Completed:
    command = ["sftp", *server.ssh_options(), "-b", "-", server.address]
    return run(command, env=server.client_env(), cwd=server.client, text="\n".join((*lines, "")))


FORMS = pytest.mark.parametrize("form", [["-O"], ["-s"]], ids=["legacy", "sftp"])


@FORMS
def test_files_come_and_go(server: Sandbox, tmp_path: Path, form: list[str]) -> None:
    name = f"copied{form[0]}"
    (tmp_path / name).write_bytes(bytes(range(256)) * 1000)
    folder = tmp_path / f"tree{form[0]}"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a b.txt").write_text("inside")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)

    sent = scp(
        server,
        *form,
        "-q",
        "-p",
        "-r",
        str(tmp_path / name),
        str(folder),
        f"{server.address}:data/",
    )
    assert sent.returncode == 0, sent.stderr
    kept = server.root / "data"
    assert (kept / name).read_bytes() == (tmp_path / name).read_bytes()
    assert (kept / folder.name / "sub" / "a b.txt").read_text() == "inside"
    assert (kept / folder.name / "run.sh").stat().st_mode & 0o777 == 0o755

    back = tmp_path / "back"
    back.mkdir()
    absolute = f"{server.address}:{kept}/{name}"
    got = scp(
        server, *form, "-q", "-r", absolute, f"{server.address}:data/{folder.name}", str(back)
    )
    assert got.returncode == 0, got.stderr
    assert (back / name).read_bytes() == (tmp_path / name).read_bytes()
    assert (back / folder.name / "sub" / "a b.txt").read_text() == "inside"
    assert scp(server, *form, f"{server.address}:data/missing", str(back)).returncode != 0


@FORMS
def test_nothing_outside_is_read_or_written(
    server: Sandbox, tmp_path: Path, form: list[str]
) -> None:
    (server.home / "private").write_text("secret")
    (server.root / "data" / "way-out").unlink(missing_ok=True)
    (server.root / "data" / "way-out").symlink_to(server.home)
    for path in (
        "/etc/passwd",
        "../private",
        "data/../../private",
        "data/way-out/private",
        f"{server.home}/private",
    ):
        result = scp(server, *form, f"{server.address}:{path}", str(tmp_path / "stolen"))
        assert result.returncode != 0, path
        assert not (tmp_path / "stolen").exists()
    (tmp_path / "evil").write_text("evil")
    for path in (
        "../evil",
        f"{server.home}/evil",
        "data/way-out/evil",
        "data/way-out",
        "../.ssh/evil",
    ):
        result = scp(server, *form, str(tmp_path / "evil"), f"{server.address}:{path}")
        assert result.returncode != 0, path
    for place in ("evil", ".ssh/evil", "private"):
        file = server.home / place
        assert not file.exists() or file.read_text() == "secret"
    (server.root / "data" / "way-out").unlink()


def test_sftp_sessions(server: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("a note")
    result = sftp(
        server,
        "pwd",
        "mkdir data/session",
        "cd data/session",
        f"put {tmp_path}/note.txt first",
        "rename first second",
        "ls -l",
        f"get second {tmp_path}/again",
        "chmod 600 second",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"Remote working directory: {server.root}" in result.stdout
    assert (tmp_path / "again").read_text() == "a note"
    assert (server.root / "data/session/second").stat().st_mode & 0o777 == 0o600
    for line in (
        "cd ..",
        "get /etc/passwd",
        "ls /etc",
        "ln -s /etc out",
        "rm ../private",
        "rmdir /",
    ):
        assert sftp(server, line).returncode != 0, line
    assert sftp(server, "cd data/session", "rm second", "cd ..", "rmdir session").returncode == 0
    assert not (server.root / "data" / "session").exists()
