"""Names of apps, and where their files are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piku.errors import PikuError
from piku.paths import AppName, Paths


@pytest.mark.parametrize("name", ["a", "A9", "foo.bar", "foo-bar_baz", "0", "x" * 63, "a..b"])
def test_a_good_name_is_taken_as_it_is(name: str) -> None:
    assert AppName.parse(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "-x", "_x", "a/b", "../x", "a b", "a\n", "a@1", "café", "x" * 64, "a\0", "~",
     "a%b"],
)  # fmt: skip
def test_a_bad_name_is_refused_with_a_hint(name: str) -> None:
    with pytest.raises(PikuError, match="is not an app name") as error:
        AppName.parse(name)
    assert "letters" in error.value.hint
    assert "\n" not in error.value.message


def test_an_endless_name_is_shown_short() -> None:
    with pytest.raises(PikuError) as error:
        AppName.parse("x" * 5000)
    assert len(error.value.message) < 200


@given(st.text(max_size=70))
def test_no_name_leads_out_of_the_root(text: str) -> None:
    paths = Paths(root=Path("/srv/piku"), home=Path("/home/piku"))
    try:
        app = paths.app(AppName.parse(text))
    except PikuError:
        return
    for path in (
        app.repo,
        app.live_link,
        app.releases,
        app.envs,
        app.data,
        app.cache,
        app.logs,
        app.nginx,
    ):
        assert path.parent.parent == Path("/srv/piku")
        assert path.name.removesuffix(".conf") == text


def test_files_of_apps_with_like_names_never_coincide() -> None:
    paths = Paths(root=Path("/r"), home=Path("/h"))
    names = ("foo", "foobar", "foo.bar", "foo.conf", "foo.sock", "foo-1", "foo.1", "foo.lock")
    files = [
        path
        for app in (paths.app(AppName.parse(name)) for name in names)
        for path in (
            app.nginx, app.lock, app.releases, app.socket(1), app.socket(2),
            app.start_socket(1, 1), app.start_socket(11, 1), app.start_socket(1, 11),
        )
    ]  # fmt: skip
    assert len(set(files)) == len(files)


def test_the_root_is_in_the_home_folder_unless_told() -> None:
    assert Paths.from_environment({"HOME": "/home/p"}).root == Path("/home/p/.piku")
    assert Paths.from_environment({"HOME": "/home/p", "PIKU_ROOT": "/srv/x"}).root == Path("/srv/x")
    assert Paths.from_environment({"HOME": "/home/p", "PIKU_ROOT": ""}).root == Path(
        "/home/p/.piku"
    )
    assert Paths.from_environment({"HOME": "/h", "PIKU_ROOT": "rel"}).root == Path.cwd() / "rel"


def test_an_unknown_app_is_refused_with_those_there_are(paths: Paths) -> None:
    with pytest.raises(PikuError, match="no app called 'shop'") as error:
        paths.existing("shop")
    assert "no app yet" in error.value.hint
    (paths.root / "repos" / "blog").mkdir()
    (paths.root / "repos" / ".half-made.tmp").mkdir()
    with pytest.raises(PikuError) as error:
        paths.existing("shop")
    assert error.value.hint == "apps here: blog"
    assert paths.existing("blog").name == "blog"
    assert paths.app_names() == ["blog"]


def test_a_root_without_anything_has_no_apps(tmp_path: Path) -> None:
    assert Paths(root=tmp_path / "none", home=tmp_path).app_names() == []
