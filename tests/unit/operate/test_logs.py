"""Which logs there are, and their last lines."""

from __future__ import annotations

import pytest

from piku.deploy import records
from piku.deploy.records import Activation
from piku.errors import PikuError
from piku.operate import logs
from piku.paths import AppPaths


@pytest.fixture
def written(shop: AppPaths) -> AppPaths:
    """An app whose second release is live and whose third failed."""
    for number in (1, 2, 3):
        records.new_release(shop, kind="push", description="", commit="c", by="me")
        records.save_activation(shop, Activation(number=number * 5, release=number, checkout="c"))
    shop.logs.mkdir()
    for name, text in {
        "web.1.log.old": "old 1\nold 2\n", "web.1@10.log": "live 1\nlive 2\n", "web.2@10.log": "second\n",
        "web.1@15.log": "failed\n", "web-api.1@10.log": "api\n", "build.log": "not a process\n",
    }.items():  # fmt: skip
        (shop.logs / name).write_text(text)
    (shop.logs / "web.1.log").symlink_to("web.1@10.log")
    return shop


def lines(app: AppPaths, wanted: str = "", release: int | None = None, count: int = 100) -> list[str]:
    return [f"{worker}: {line}" for worker, line in logs.last(logs.log_files(app, wanted, release), count)]


def test_each_processes_lines_oldest_first_over_rotations_and_releases(written: AppPaths) -> None:
    assert lines(written) == [
        "web-api.1: api", "web.1: old 1", "web.1: old 2", "web.1: live 1", "web.1: live 2", "web.1: failed",
        "web.2: second",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "workers"), [("web", {"web.1", "web.2"}), ("web.2", {"web.2"}), ("web-api", {"web-api.1"})]
)
def test_a_type_or_one_process(written: AppPaths, wanted: str, workers: set[str]) -> None:
    assert {line.partition(":")[0] for line in lines(written, wanted)} == workers


def test_one_releases_lines(written: AppPaths) -> None:
    assert lines(written, release=3) == ["web.1: failed"]
    assert lines(written, "web", 2) == ["web.1: live 1", "web.1: live 2", "web.2: second"]
    assert lines(written, release=1) == []
    with pytest.raises(PikuError, match="shop has no release v9"):
        lines(written, release=9)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, []), (1, ["web.1: failed"]), (3, ["web.1: live 1", "web.1: live 2", "web.1: failed"])],
)
def test_as_many_as_asked_for(written: AppPaths, count: int, expected: list[str]) -> None:
    assert lines(written, "web.1", count=count) == expected


@pytest.mark.parametrize("wanted", ["we", "web.3", "build", "web.1.log", "*"])
def test_what_never_logged_is_refused_with_what_did(written: AppPaths, wanted: str) -> None:
    with pytest.raises(PikuError, match="has no log of") as error:
        logs.log_files(written, wanted)
    assert error.value.hint == "there are: web-api.1, web.1, web.2"


def test_an_app_that_never_ran_has_no_logs(shop: AppPaths) -> None:
    assert lines(shop) == []


def test_the_transcript_of_deploys(written: AppPaths, capsys: pytest.CaptureFixture[str]) -> None:
    (written.build_log).write_text("one\ntwo\nthree\n")
    logs.print_file(written.build_log, 2)
    logs.print_file(written.build_log, 0)
    logs.print_file(written.logs / "none.log", 2)
    assert capsys.readouterr().out == "two\nthree\n"
