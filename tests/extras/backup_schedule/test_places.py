"""Regular backups: kept in each kind of place, encrypted, and missed once they fail for real."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox import HOST, Sandbox

from tests.e2e.conftest import maker
from tests.e2e.support import CHECKOUT, App, ssh_to_itself


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    """A server whose piku user may log in as itself, without a forced command."""
    base = Path(tempfile.mkdtemp(prefix="e2e-"))
    try:
        with Sandbox(CHECKOUT, base, path=[base / "bin"]) as found:
            ssh_to_itself(found, base / "bin")
            yield found
    finally:
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="module")
def shop(server: Sandbox) -> App:
    app: App = maker(server)("shop")
    (app.data / "x").write_text("kept")
    return app


def verified(app: App, place: Path) -> None:
    found = app.server.piku("backup:verify", str(place))
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("shop, made ") and "1 files in data" in found.stdout


def backups(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("kind", ["folder", "ssh", "rclone"])
def test_kept_in(kind: str, shop: App) -> None:
    folder = shop.server.base / f"kept in {kind}"
    place = {
        "folder": str(folder),
        "ssh": f"ssh://{shop.server.user}@{HOST}:{shop.server.ssh_port}{folder}",
        "rclone": f"rclone::local:{folder}",
    }[kind]
    shop.does("backup:schedule", "@daily", "--keep", "1", "--to", place)
    assert f"kept in {kind}" in shop.does("backup:run")
    [first] = backups(folder)
    (folder / "notes.txt").touch()
    (folder / f"{first.name}.part").touch()  # of one that was cut off
    shop.server.wait(lambda: time.strftime("%H%M%S") not in first.name)
    shop.does("backup:run")
    other, second = backups(folder)
    assert other.name == "notes.txt" and second.name > first.name
    verified(shop, second)
    assert kind == "rclone" or second.stat().st_mode & 0o77 == 0
    assert second.name in shop.does("backup:schedule")


@pytest.mark.parametrize("program", ["age", "gpg"])
def test_encrypted(program: str, shop: App) -> None:
    folder = shop.server.base / program
    folder.mkdir(mode=0o700)
    env = {**shop.server.server_env(), "HOME": str(shop.server.home)}

    def run(*argv: str) -> str:
        return subprocess.run(
            argv, env=env, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
        ).stdout

    if program == "age":
        run("age-keygen", "-o", str(folder / "key"))
        recipient = run("age-keygen", "-y", str(folder / "key")).strip()
        decrypt = ["age", "-d", "-i", str(folder / "key")]
    else:
        recipient = "backups@example.org"
        make = [
            "gpg",
            "--batch",
            "--passphrase",
            "",
            "--quick-gen-key",
            recipient,
            "future-default",
        ]
        run(*make)
        decrypt = ["gpg", "--batch", "-d"]
    kept = folder / "kept"
    refused = shop.says("backup:schedule", "@daily", "--encrypt", "age1nonsense")
    assert refused.returncode == 1 and "cannot encrypt to 'age1nonsense'" in refused.stderr
    shop.does("backup:schedule", "@daily", "--encrypt", recipient, "--to", str(kept))
    shop.does("backup:run")
    [place] = backups(kept)
    assert place.name.endswith(f".tar.zst.{program}") and b"kept" not in place.read_bytes()
    refused = shop.server.piku("restore", str(place))
    assert (
        "the backup is encrypted" in refused.stderr
        and "ssh piku@server restore -" in refused.stderr
    )
    with (folder / "plain").open("wb") as out:
        subprocess.run([*decrypt, str(place)], env=env, stdout=out, check=True)
    verified(shop, folder / "plain")


def test_missed_when_they_fail(shop: App) -> None:
    server = shop.server
    server.wait(lambda: time.time() % 3600 < 3500, 101)  # no hour ends meanwhile
    folder = server.base / "disk"
    plan, state = (server.root / "envs" / "shop" / f"backup{end}.json" for end in ("", "-state"))
    state.unlink(missing_ok=True)
    shop.does("backup:schedule", "@hourly", "--to", str(folder))

    def hours_pass(count: int, *times: str) -> None:
        for file, names in ((plan, ["since"]), (state, times or ["attempted", "succeeded"])):
            values = json.loads(file.read_text()) if file.exists() else {}
            for name in names:
                values[name] = max(0, values.get(name, 0) - count * 3600)
            file.write_text(json.dumps(values)) if values else None

    assert server.piku("housekeeping").returncode == 0
    assert not backups(folder)
    # One whose backup cannot be started keeps no other from it.
    assert server.piku("apps:create", "aaa").returncode == 0
    assert server.piku("backup:schedule", "aaa", "@hourly").returncode == 0
    (server.root / "logs" / "aaa").touch()
    shutil.copy(plan, server.root / "envs" / "aaa" / "backup.json")
    hours_pass(1)
    shutil.copy(plan, server.root / "envs" / "aaa" / "backup.json")
    assert server.piku("housekeeping").returncode == 0
    server.wait(lambda: [place for place in backups(folder) if place.name.endswith("zst")])
    server.wait(lambda: json.loads(state.read_text())["succeeded"])
    assert "backup" not in server.piku("status").stdout
    # The disk fills up, or goes away: what comes next fails, and the old ones stay.
    os.chmod(folder, 0o500)
    hours_pass(1)
    assert server.piku("housekeeping").returncode == 0
    server.wait(lambda: "denied" in json.loads(state.read_text())["error"])
    assert "backup" not in server.piku("status").stdout  # it may be a passing trouble
    # Each hour was tried in vain: none is due, which the platform would make beside ours.
    hours_pass(2, "succeeded")
    said = server.piku("status").stdout
    assert "the last good backup (@hourly) is 3h old" in said and "Permission denied" in said
    doctor = server.piku("doctor", "shop").stdout
    assert "the last good backup (@hourly)" in doctor and "piku backup:run shop" in doctor
    assert len(backups(folder)) == 1
    failed = shop.says("backup:run")
    assert failed.returncode == 1 and "Permission denied" in failed.stderr
    # It is repaired, as the doctor says.
    os.chmod(folder, 0o700)
    shop.does("backup:run")
    assert "backup" not in server.piku("status").stdout
    # An app that cannot be read is no backup.
    (shop.data / "db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    failed = shop.says("backup:run")
    assert failed.returncode == 1 and "db cannot be copied" in failed.stderr
    (shop.data / "db").unlink()
    shop.does("backup:schedule", "--off")
    assert "has no backup schedule" in shop.says("backup:schedule").stderr
    assert shop.says("backup:schedule", "daily").returncode == 1
    assert shop.says("backup:schedule", "@daily", "--to", "here").returncode == 2
