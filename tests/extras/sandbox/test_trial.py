"""What a server that lets no walls be built is told to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from piku.errors import PikuError
from piku.extras.sandbox import settings, trial

FORBIDDEN = "bwrap: setting up uid map: Permission denied"


@pytest.mark.parametrize(
    ("file", "value", "words"),
    [
        (
            "kernel/unprivileged_userns_clone",
            "0",
            "echo kernel.unprivileged_userns_clone=1 >/etc/sysctl.d/",
        ),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "apparmor_parser -r"),
        ("user/max_user_namespaces", "0", "&& sysctl --system"),
        ("user/max_user_namespaces", "1000", "user namespaces must be allowed"),
    ],
)
def test_the_way_to_allow_it(tmp_path: Path, file: str, value: str, words: str) -> None:
    (tmp_path / file).parent.mkdir()
    (tmp_path / file).write_text(f"{value}\n")
    assert words in trial.remedy(FORBIDDEN, tmp_path)


def test_a_covered_proc(tmp_path: Path) -> None:
    said = "bwrap: Can't mount proc on /newroot/proc: Operation not permitted"
    assert "/proc is hidden" in trial.remedy(said, tmp_path)


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(PikuError, match="does not let bubblewrap build walls") as refused:
        trial.require(["bwrap", "--bind", "/nowhere", "/", "true"])
    assert any("/nowhere" in line for line in refused.value.detail)


def test_paths() -> None:
    assert settings.paths(" /srv/a, /run/b.sock,") == ("/srv/a", "/run/b.sock")
    for text in ("media", "/srv/../etc"):
        with pytest.raises(ValueError, match=r"not an absolute path|outside"):
            settings.paths(text)
