"""Settings: what is refused, and the table."""

from __future__ import annotations

import pytest

from piku.app import settings
from piku.errors import PikuError


@pytest.mark.parametrize("key", ["", "1A", "A-B", "A B", "é", "A\n", "X" * 129, "A.B", "#A", "A="])
def test_names_that_are_none(key: str) -> None:
    with pytest.raises(PikuError, match="is not a setting's name") as error:
        settings.check_pair(key, "x")
    assert "DATABASE_URL" in error.value.hint


@pytest.mark.parametrize("key", ["PATH", "HOME", "APP", "VIRTUAL_ENV", "PIKU_RELEASE", "DATA_ROOT"])
def test_what_piku_gives_cannot_be_set(key: str) -> None:
    with pytest.raises(PikuError, match=f"{key} is given to the app by piku"):
        settings.check_pair(key, "x")


@pytest.mark.parametrize("key", ["LD_PRELOAD", "LD_LIBRARY_PATH"])
def test_the_loader_is_out_of_reach(key: str) -> None:
    with pytest.raises(PikuError, match=f"{key} cannot be set"):
        settings.check_pair(key, "x")


@pytest.mark.parametrize("value", ["a\0b", "@(/etc/passwd) ", "@(x)\n"])
def test_what_cannot_reach_a_process_is_refused(value: str) -> None:
    with pytest.raises(PikuError, match=r"the value of X .*: uWSGI cannot hand it on") as error:
        settings.check_pair("X", value)
    assert value not in error.value.message


def test_the_longest_value() -> None:
    settings.check_pair("X", "é" * (settings.MAX_VALUE // 2))
    with pytest.raises(PikuError, match="longer than 64 kB"):
        settings.check_pair("X", "é" * (settings.MAX_VALUE // 2) + "x")


# --- the table -----------------------------------------------------------------------------------


def test_every_default_passes_its_own_check() -> None:
    for setting in settings.table().values():
        setting.read({})
        setting.read({setting.name: "  "})


def test_a_bad_value_is_told_with_its_setting_and_what_it_means() -> None:
    with pytest.raises(PikuError) as error:
        settings.check_all({"A": "1", "PIKU_DEPLOY_TIMEOUT": "soon"})
    assert error.value.message == "PIKU_DEPLOY_TIMEOUT=soon: not a whole number from 1 to 3600"
    assert error.value.hint == settings.DEPLOY_TIMEOUT.doc


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("NGINX_SERVERNAME", "did you mean NGINX_SERVER_NAME?"),
        ("PIKU_PERSISTS", "did you mean PIKU_PERSIST?"),
        ("UWSGI_THREAD", "did you mean UWSGI_THREADS?"),
        ("UWSGI_ZZZZZZZ", "docs/settings.md lists all settings"),
    ],
)
def test_an_unknown_setting_of_ours_is_refused(name: str, hint: str) -> None:
    with pytest.raises(
        PikuError, match=f"{name} is not a setting of this version of piku"
    ) as error:
        settings.check_all({name: "1"})
    assert error.value.hint == hint


def test_everybody_elses_names_are_free() -> None:
    settings.check_all({"DATABASE_URL": "x", "MY_PIKU_X": "1", "PIKU": "1", "NODE_ENV": "x"})


def test_what_is_read_before_any_commit_cannot_stand_in_one() -> None:
    with pytest.raises(
        PikuError, match="PIKU_DEPLOY_BRANCH cannot be set in the repository"
    ) as error:
        settings.refuse_in_repository({"PIKU_DEPLOY_BRANCH": "main"})
    assert "config:set" in error.value.hint
    settings.refuse_in_repository({"PIKU_KEEP_RELEASES": "3", "A": "1"})
