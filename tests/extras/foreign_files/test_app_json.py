"""app.json: which settings a new app begins with, and which somebody has to give."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from piku.app.tree import Tree
from piku.errors import PikuError
from piku.extras.foreign_files import app_json
from piku.paths import AppPaths


def tree(env: object = None, **more: object) -> Tree:
    text = json.dumps({**more, **({"env": env} if env else {})})
    return Tree(files={"app.json": "1"}, read=lambda path: text if path == "app.json" else "")


def test_values_and_secrets_for_what_nobody_has_given(shop: AppPaths) -> None:
    env = {
        "SHORT": "s", "LONG": {"value": "l", "required": True}, "FLAG": {"value": True}, "EMPTY": {"value": ""},
        "SECRET": {"generator": "secret"}, "OPTIONAL": {"required": False}, "OFF": {"required": "false"},
        "SET": {"value": "default"}, "GIVEN_BY_A_PERSON": {"description": "x"},
        "PORT": {"required": True}, "HEROKU_APP_NAME": {"required": True},
    }  # fmt: skip
    values = {"SET": "own", "GIVEN_BY_A_PERSON": "y"}
    found = app_json.initial(shop, tree(env), values)
    secret = found.pop("SECRET")
    assert found == {"SHORT": "s", "LONG": "l", "FLAG": "true"}
    assert len(secret) == 64 and secret != app_json.initial(shop, tree(env), values)["SECRET"]


@pytest.mark.parametrize(
    ("env", "message", "hint"),
    [
        ({"KEY": {"description": "Of the mailer\x1b[2J"}, "ID": {"required": True, "value": ""}},
         "app.json requires settings that shop does not have: KEY, ID",
         "set them, then push again: piku config:set shop KEY=… ID=…\n  KEY: Of the mailer\\x1b[2J"),
        ({"A B": "x"}, "app.json: 'A B' is not a setting's name", ""),
        ({"PIKU_DEPLOY_BRANCH": "x"}, "app.json: PIKU_DEPLOY_BRANCH cannot be set in the repository", ""),
        ({"NGINX_NOPE": "x"}, "app.json: NGINX_NOPE is not a setting", ""),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused(
    shop: AppPaths, env: Mapping[str, object], message: str, hint: str
) -> None:
    with pytest.raises(PikuError) as refused:
        app_json.initial(shop, tree(env), {})
    assert message in refused.value.message and hint in refused.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", '{"env": []}', '{"expo": {}, "env": {"A": "b"}}'])
def test_files_of_that_name_that_say_nothing(shop: AppPaths, text: str) -> None:
    found = Tree(files={"app.json": "1"}, read={"app.json": text}.__getitem__)
    assert app_json.initial(shop, found, {}) == {} and list(app_json.parts(found)) == []
