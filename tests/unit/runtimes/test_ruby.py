"""What a Ruby app's gems depend on, and how they are installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from piku.app import procfile
from piku.app.tree import Tree
from piku.runtimes.base import Context
from piku.runtimes.ruby import RUBY

GEMFILE = 'source "https://rubygems.org"\ngem "rack"\n'


def context(files: Mapping[str, str], *, commit: str = "c", **settings: str) -> Context:
    tree = Tree(
        files={name: f"{name}={text}" for name, text in files.items()},
        read=lambda path: files.get(path, ""),
    )
    return Context(
        tree=tree,
        settings=settings,
        checkout=Path("/r", commit),
        environment=Path("/e"),
        cache=Path("/c"),
    )


def key(files: Mapping[str, str], *, commit: str = "c", **settings: str) -> str:
    assert RUBY.key is not None
    return RUBY.key(context(files, commit=commit, **settings))


def test_detect() -> None:
    web = procfile.parse("web: x")
    assert RUBY.detect(context({"Gemfile": ""}).tree, web)
    assert not RUBY.detect(context({"sub/Gemfile": "", "gems.rb": ""}).tree, web)


@pytest.mark.parametrize(
    "changed",
    ["Gemfile", "Gemfile.lock", ".ruby-version", ".bundle/config", "vendor/cache/rack-2.2.gem"],
)
def test_key_changes_with_what_bundler_reads(changed: str) -> None:
    files = {"Gemfile": GEMFILE, "Gemfile.lock": "", ".ruby-version": "3.1", ".bundle/config": ""}
    files["vendor/cache/rack-2.2.gem"] = "one"
    assert key(files) != key({**files, changed: "another"})


def test_key_stays_when_only_code_changes() -> None:
    files = {"Gemfile": GEMFILE, "app.rb": "one"}
    assert key(files, commit="a", GREETING="one") == key(
        {**files, "app.rb": "two"}, commit="b", GREETING="two"
    )
    assert key(files, BUNDLE_WITHOUT="test") != key(files)


@pytest.mark.parametrize(
    "line",
    [
        "gemspec",
        'gem "own", path: "own"',
        'path "own" do',
        'eval_gemfile "b"',
        'ruby File.read("v")',
    ],
)
def test_gems_of_the_tree_count_as_a_whole(line: str) -> None:
    files = {"Gemfile": f"{GEMFILE}{line}\n", "own/lib/own.rb": "one"}
    assert key(files) != key({**files, "own/lib/own.rb": "two"})
    assert key(files, commit="a") != key(files, commit="b")


def test_a_committed_lock_file_is_kept_to() -> None:
    locked = [run.argv for run in RUBY.build(context({"Gemfile": GEMFILE, "Gemfile.lock": ""}))]
    assert ("bundle", "config", "set", "--local", "path", "/e") in locked
    assert ("bundle", "config", "set", "--local", "frozen", "true") in locked
    assert not list(RUBY.compile(context({"Gemfile": GEMFILE, "Gemfile.lock": ""})))
    free = [run.argv for run in RUBY.build(context({"Gemfile": GEMFILE}))]
    assert not any("frozen" in argv for argv in free)
    assert free[-1] == ("cp", "Gemfile.lock", "/e/Gemfile.lock")
    assert [run.argv for run in RUBY.compile(context({"Gemfile": GEMFILE}))] == [
        ("cp", "/e/Gemfile.lock", "Gemfile.lock")
    ]


def test_the_projects_own_configuration_is_kept() -> None:
    runs = [run.argv for run in RUBY.build(context({"Gemfile": GEMFILE, ".bundle/config": ""}))]
    assert runs[:2] == [
        ("mkdir", "-p", "/e/.bundle"),
        ("cp", ".bundle/config", "/e/.bundle/config"),
    ]
    assert RUBY.env(context({})) == {"BUNDLE_APP_CONFIG": "/e/.bundle"}
