"""scp in both its forms, and sftp, in the piku root."""

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

    there = f"{server.address}:data/"
    sent = scp(server, *form, "-qpr", str(tmp_path / name), str(folder), there)
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
    assert scp(server, *form, "-q", f"{there}{folder.name}/r*.sh", str(back)).returncode == 0
    assert (back / "run.sh").read_text() == "#!/bin/sh\n"
    assert scp(server, *form, f"{server.address}:data/missing", str(back)).returncode != 0


def test_scp_is_for_clients(server: Sandbox) -> None:
    result = server.ssh("scp -S sh x y")
    assert result.returncode == 2
    assert "for scp and sftp clients" in result.stderr


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
    assert sftp(server, "get data/missing").returncode != 0
    assert sftp(server, "cd data/session", "rm second", "cd ..", "rmdir session").returncode == 0
    assert not (server.root / "data" / "session").exists()
