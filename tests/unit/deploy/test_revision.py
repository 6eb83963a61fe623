"""What a commit says, read from a real repository."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from piku.deploy import revision
from piku.errors import PikuError
from piku.paths import AppPaths, Paths

Commit = Callable[..., str]


def test_layers_from_the_server_to_config_set(paths: Paths, shop: AppPaths, commit: Commit) -> None:
    paths.server_env.write_text("A=server\nB=server\nC=server\nLITERAL='$A'\n")
    name = commit(
        shop, {"Procfile": "web: x\n", "ENV": "B=repository of $A\nC=repository\nD=$LITERAL\n"}
    )
    found = revision.read(paths, shop, name, {"C": "own $A", "E": "${B}"}, checkout="v1")
    assert found.values == {
        "A": "server", "B": "repository of server", "C": "own $A", "LITERAL": "$A", "D": "$A", "E": "${B}",
    }  # fmt: skip
    assert (found.runtime.name, found.environment) == ("plain", "")


@pytest.mark.parametrize(
    ("files", "own", "message"),
    [
        ({"web": "x"}, {}, "there is no Procfile in the top folder of this commit"),
        ({"sub/Procfile": "web: x"}, {}, "there is no Procfile in the top folder"),
        ({"web/app.py": ""}, {"PIKU_APP_DIR": "web"}, "there is no Procfile in web of this commit"),
        ({"Procfile": "web: x"}, {"PIKU_APP_DIR": "../x"}, "'../x' is outside the app's folder"),
        ({"Procfile": "web: x"}, {"PIKU_APP_DIR": "/srv/x"}, "'/srv/x' is outside the app's folder"),
        ({"web/Procfile": "web: x", "web/ENV": "A"}, {"PIKU_APP_DIR": "web"}, "web/ENV line 1"),
        ({"Procfile": "web x"}, {}, "Procfile line 1"),
        ({"Procfile": "web: x", "ENV": "A=1\nB"}, {}, "ENV line 2 is not of the form NAME=value"),
        ({"Procfile": "web: x", "ENV": "PIKU_DEPLOY_BRANCH=x"}, {}, "cannot be set in the repository"),
        ({"Procfile": "web: x", "ENV": "NGINX_NOPE=1"}, {}, "NGINX_NOPE is not a setting"),
        ({"Procfile": "web: x"}, {"NGINX_SERVER_NAME": "a;b"},
        "NGINX_SERVER_NAME=a;b: 'a;b' is not a host name"),
        ({"Procfile": "web: x", "requirements.txt": ""}, {"PYTHON_VERSION": "2.9"}, "PYTHON_VERSION asks for Python 2.9, and this server has Python"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(
    paths: Paths,
    shop: AppPaths,
    commit: Commit,
    files: dict[str, str],
    own: dict[str, str],
    message: str,
) -> None:
    with pytest.raises(PikuError, match=message):
        revision.read(paths, shop, commit(shop, files), own, checkout="v1")


def test_a_bad_line_of_the_servers_file_is_told_with_its_place(
    paths: Paths, shop: AppPaths, commit: Commit
) -> None:
    paths.server_env.write_text("nonsense\n")
    with pytest.raises(PikuError, match=f"{paths.server_env} line 1"):
        revision.read(paths, shop, commit(shop, {"Procfile": "web: x"}), {}, checkout="v1")


def environment(paths: Paths, shop: AppPaths, name: str, **own: str) -> str:
    return revision.read(paths, shop, name, own, checkout="v1").environment


def test_an_environment_is_named_by_all_that_a_build_reads(
    paths: Paths, shop: AppPaths, commit: Commit
) -> None:
    files = {
        "Procfile": "wsgi: a:b\n",
        "requirements.txt": "-r base.txt\n",
        "base.txt": "x==1\n",
        "a.py": "1",
    }
    first = environment(paths, shop, commit(shop, files))
    assert first.startswith("python-") and len(first) == len("python-") + 16
    assert environment(paths, shop, commit(shop, files | {"a.py": "2", "ENV": "X=1\n"})) == first
    assert environment(paths, shop, commit(shop, files | {"base.txt": "x==2\n"})) != first
    assert (
        environment(paths, shop, commit(shop, files | {"requirements.txt": "-r base.txt\ny\n"}))
        != first
    )
    head = commit(shop, files)
    assert environment(paths, shop, head, X="1") == first
    assert environment(paths, shop, head, PIP_INDEX_URL="https://example.com") != first


def test_an_editable_project_is_built_for_every_change(
    paths: Paths, shop: AppPaths, commit: Commit
) -> None:
    files = {"Procfile": "wsgi: a:b\n", "requirements.txt": "-e .\n", "a.py": "1"}
    first = environment(paths, shop, commit(shop, files))
    assert environment(paths, shop, commit(shop, files | {"a.py": "2"})) != first
    assert environment(paths, shop, commit(shop, files)) == first


def test_an_app_in_a_folder(paths: Paths, shop: AppPaths, commit: Commit) -> None:
    files = {
        "ENV": "PIKU_APP_DIR=./services/api/\nA=top\nB=top\nC=top\n",
        "services/ENV": "B=services of $A\n",
        "services/api/ENV": "C=api of $B\n",
        "services/api/Procfile": "web: x\n",
        "services/api/requirements.txt": "-r ../../base.txt\n",
        "base.txt": "x==1\n",
        "requirements.txt": "y\n",
        "package.json": "{}",
    }
    name = commit(shop, files)
    found = revision.read(paths, shop, name, {}, checkout="v1")
    assert {key: found.values[key] for key in "ABC"} == {
        "A": "top", "B": "services of top", "C": "api of services of top",
    }  # fmt: skip
    assert found.context.checkout == shop.releases / "v1" / "services" / "api"
    assert found.runtime.name == "python"

    def environment(**changed: str) -> str:
        other = commit(
            shop, files | {name.replace("_", "."): text for name, text in changed.items()}
        )
        # What a later release of the same build is read with.
        return revision.read(paths, shop, other, {}, checkout="v1/services/api").environment

    assert environment(requirements_txt="z\n") == found.environment
    assert environment(base_txt="x==2\n") != found.environment
    own = {"PIKU_APP_DIR": ""}
    top = revision.read(
        paths,
        shop,
        commit(shop, {**files, "Procfile": "web: x\n"}),
        own,
        checkout="v1/services/api",
    )
    assert top.context.checkout == shop.releases / "v1"
