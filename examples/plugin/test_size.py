"""The test of the plugin: its commands are given a piku root of their own. Run it with pytest."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parent))

import size

from piku.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    for app, written in (("small", 1), ("large", 300_000)):
        (tmp_path / "repos" / app).mkdir(parents=True)
        (tmp_path / "data" / app).mkdir(parents=True)
        (tmp_path / "data" / app / "file").write_bytes(b"x" * written)
    return Paths(root=tmp_path, home=tmp_path)


def run(paths: Paths, *words: str) -> Result:
    return CliRunner().invoke(size.cli_commands(), words, obj=paths, catch_exceptions=False)


def test_the_largest_comes_first(paths: Paths) -> None:
    found = json.loads(run(paths, "size", "--json").stdout)
    assert list(found) == ["large", "small"]
    assert found["large"] >= 300_000 > found["small"] > 0
    assert run(paths, "size").stdout.splitlines()[0].split() == ["0.3", "MB", "large"]


def test_one_app(paths: Paths) -> None:
    (paths.root / "data" / "large" / "again").hardlink_to(paths.root / "data" / "large" / "file")
    lines = run(paths, "size:of", "large").stdout.splitlines()
    assert "     0.3 MB  data" in lines
    assert [line.split()[2] for line in lines] == list(size.PARTS)


def test_an_app_that_is_not_there(paths: Paths) -> None:
    with pytest.raises(Exception, match="no app called 'none'"):
        run(paths, "size:of", "none")
