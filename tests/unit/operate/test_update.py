"""What an update reads, and what it tells those whom it cannot help."""

from __future__ import annotations

from pathlib import Path

import pytest

from piku.extras.update import update, update_deb


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("#PIKU_RELEASE_URL=https://example.com/a.deb\n", ""),
        ("PIKU_RELEASE_URL=https://example.com/a.deb\n", "https://example.com/a.deb"),
        ("PIKU_RELEASE_URL=file:///old\nPIKU_RELEASE_URL='file:///new' \n", "file:///new"),
    ],
)
def test_the_address_of_releases(text: str, expected: str) -> None:
    assert update_deb.setting(text) == expected


def test_the_program_of_a_service() -> None:
    unit = Path(__file__).resolve().parents[3] / "contrib/systemd/piku-emperor.service"
    assert update.command_of(unit.read_text()) == "/usr/bin/piku"
    assert update.command_of("") == ""


def test_a_copy_is_told_how_its_kind_gets_newer(tmp_path: Path) -> None:
    """None of them makes a server of a laptop."""
    (tmp_path / "piku").write_text("one file\n")
    (tmp_path / "site-packages/piku").mkdir(parents=True)
    (tmp_path / "src/piku").mkdir(parents=True)
    file = update.unknown(tmp_path / "piku/piku")
    assert str(file) == f"this piku is the file {tmp_path}/piku"
    assert "in its place" in str(file.hint)
    pipx = update.unknown(tmp_path / "site-packages/piku")
    assert "pipx upgrade piku" in str(pipx.hint)
    assert "uv tool upgrade piku" in str(pipx.hint)
    source = update.unknown(tmp_path / "src/piku")
    assert "install.sh" in str(source.hint)
    assert "install.sh" not in f"{file.hint}{pipx.hint}"
