"""Which word is the app, when one was said before the command."""

from __future__ import annotations

import click
import pytest

from piku.cli.common import with_app
from piku.cli.main import cli

CASES = [
    ("logs", "", "shop"),
    ("logs", "worker", "shop worker"),
    ("logs", "other worker", "other worker"),
    ("logs", "shop", "shop"),
    ("logs", "-n 5 --release shop", "shop -n 5 --release shop"),
    ("logs", "-n5 web --release 1", "shop -n5 web --release 1"),
    ("logs", "--release=1 web", "shop --release=1 web"),
    ("logs", "-- web", "shop -- web"),
    ("restart", "", "shop"),
    ("restart", "other", "other"),
    ("deploy", "--dry-run", "shop --dry-run"),
    ("rollback", "v3", "shop v3"),
    ("rollback", "other v3", "other v3"),
    ("rollback", "--allow-untracked 3", "shop --allow-untracked 3"),
    ("config:get", "KEY", "shop KEY"),
    ("config:get", "shop", "shop shop"),
    ("config:get", "other KEY", "other KEY"),
    ("config:set", "A=b C=d", "shop A=b C=d"),
    ("config:set", "other A=b", "other A=b"),
    ("config:set", "--no-restart A=b", "shop --no-restart A=b"),
    ("config:set", "-", "shop -"),
    ("config:unset", "A B", "shop A B"),
    ("config:unset", "shop A B", "shop A B"),
    ("config:unset", "shop", "shop shop"),
    ("ps", "", "shop"),
    ("ps", "--json", "shop --json"),
    ("ps", "other", "other"),
    ("ps:scale", "web=2", "shop web=2"),
    ("ps:scale", "other web=2", "other web=2"),
    ("ps:stop", "run.3 run.4", "shop run.3 run.4"),
    ("run", "ls -l", "shop ls -l"),
    ("run", "--detach ls -l", "--detach shop ls -l"),
    ("run", "-- ls -l", "-- shop ls -l"),
    ("run", "shop ls", "shop ls"),
    ("run", "shop", "shop shop"),
    ("run", "other ls", "shop other ls"),
    ("cron:run", "backup", "shop backup"),
    ("certs:add", "-", "shop -"),
    ("certs", "", "shop"),
    ("destroy", "", "shop"),
    ("destroy", "--force", "shop --force"),
    ("maintenance:on", "--retry-after 60", "shop --retry-after 60"),
    ("apps", "", ""),
    ("keys:remove", "shop", "shop"),
    ("setup:ssh", "- --name shop", "- --name shop"),
    ("git-hook", "", "shop"),
    ("help", "logs", "logs"),
]


@pytest.mark.parametrize(("command", "words", "expected"), CASES)
def test_where_the_app_goes(command: str, words: str, expected: str) -> None:
    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    assert with_app(found, words.split(), "shop") == expected.split()
