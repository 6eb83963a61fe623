"""Ruby apps: Bundler's gems in the environment; Rack through uWSGI, and a server of the app's own.

RubyGems is not asked: a folder with the index that `gem generate_index` makes is the source, or the
repository has its gems in vendor/cache. Rack and WEBrick are Debian's, packed as gems again.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.support import App
from tests.runtimes.support import build_failed, built, reused

NewApp = Callable[..., App]

WEB = "web: exec bundle exec rackup --quiet --server webrick --host $BIND_ADDRESS --port $PORT\n"
CONFIG = """\
require "greet"
run ->(_env) { [200, {"Content-Type" => "text/plain"}, ["#{GREET} %s"]] }
"""


@pytest.fixture(scope="module")
def gems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is a source of gems."""
    folder = tmp_path_factory.mktemp("gems")
    script = Path(__file__).with_name("gems.rb")
    subprocess.run(
        ["ruby", "-r", "tmpdir", str(script), str(folder), "rack", "webrick"], check=True
    )
    return folder


def test_rack_through_uwsgi(new_app: NewApp, example: Callable[[str], Path], gems: Path) -> None:
    app = new_app("rack", example("ruby"), push=False)
    gemfile = (
        (app.repository / "Gemfile").read_text().replace("https://rubygems.org", f"file://{gems}")
    )
    config = (app.repository / "config.ru").read_text()
    app.commit(Gemfile=gemfile)
    first = built(app, "ruby")
    assert re.fullmatch(r"Hello from Ruby with Rack 2\.\d+\.\d+, release 1\n", app.body())

    app.commit(config_ru=config.replace("Hello from", "Goodbye from"))
    reused(app)
    assert app.body().startswith("Goodbye from Ruby with Rack 2.")

    app.server.commit(
        app.repository, {"Gemfile": gemfile + 'gem "greet", "1.0.0"\n', "config.ru": CONFIG % "one"}
    )
    second = built(app, "ruby")
    assert second != first
    assert app.body() == "greet 1.0.0 one"
    # No lock file is committed: what was resolved once holds until the Gemfile changes.
    checkout = (app.server.root / "apps" / app.name).resolve()
    assert "greet (1.0.0)" in (checkout / "Gemfile.lock").read_text()
    assert not (checkout / ".bundle").exists()

    app.commit(Gemfile=gemfile + 'gem "no-such-gem"\n')
    build_failed(app, r"no-such-gem", r"`bundle install` failed with exit code 7")
    assert app.body() == "greet 1.0.0 one"

    app.commit(Gemfile=gemfile + 'gem "greet"\n', config_ru="run ->(\n")
    said = app.failed()
    assert any("SyntaxError" in line for line in said), said
    assert app.body() == "greet 1.0.0 one"


def test_rack_answers_many_at_once(
    new_app: NewApp, example: Callable[[str], Path], gems: Path
) -> None:
    """uWSGI's Ruby crashes when it has threads."""
    app = new_app("crowd", example("ruby"), push=False)
    gemfile = (
        (app.repository / "Gemfile").read_text().replace("https://rubygems.org", f"file://{gems}")
    )
    slow = 'run ->(_env) { sleep 0.01; [200, {"Content-Type" => "text/plain"}, ["well"]] }\n'
    app.server.commit(app.repository, {"Gemfile": gemfile, "config.ru": slow})
    app.deployed()
    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(lambda _: app.body(), range(100))) == {"well"}

    refused = app.says("config:set", "UWSGI_THREADS=4")
    assert refused.returncode == 1
    assert "UWSGI_THREADS: uWSGI cannot run Ruby in threads" in refused.stderr + refused.stdout
    assert "UWSGI_PROCESSES=4" in refused.stderr + refused.stdout
    app.does("config:set", "UWSGI_PROCESSES=2")
    assert app.body() == "well"


def test_web_with_vendored_gems(new_app: NewApp, gems: Path) -> None:
    names = {path.name.rpartition("-")[0]: path for path in (gems / "gems").glob("*.gem")}
    rack, webrick = (names[name].stem.rpartition("-")[2] for name in ("rack", "webrick"))

    def lock(greet: str) -> str:
        specs = "".join(
            f"    {name} ({v})\n"
            for name, v in (("greet", greet), ("rack", rack), ("webrick", webrick))
        )
        return (
            f"GEM\n  remote: https://rubygems.org/\n  specs:\n{specs}\nPLATFORMS\n  ruby\n\n"
            "DEPENDENCIES\n  greet\n  rack\n  webrick\n"
        )

    gemfile = 'source "https://rubygems.org"\ngem "greet"\ngem "rack"\ngem "webrick"\n'
    # WEBrick waits for the connections that nginx keeps open.
    files = {
        "ENV": "PIKU_STOP_TIMEOUT=1\n",
        "Procfile": WEB,
        "Gemfile": gemfile,
        "Gemfile.lock": lock("1.0.0"),
        "config.ru": CONFIG % "one",
    }
    app = new_app("vendored", files, push=False)
    cache = app.repository / "vendor" / "cache"
    cache.mkdir(parents=True)
    for gem in (gems / "gems").glob("*.gem"):
        (cache / gem.name).write_bytes(gem.read_bytes())
    app.commit("Gems of our own")
    built(app, "ruby")
    assert app.body() == "greet 1.0.0 one"

    app.commit(config_ru=CONFIG % "two")
    reused(app, quick=False)  # the app itself takes its time to start
    assert app.body() == "greet 1.0.0 two"

    app.commit(Gemfile_lock=lock("1.1.0"))
    built(app, "ruby")
    assert app.body() == "greet 1.1.0 two"

    # A committed lock file is a promise: Bundler may not resolve anew what does not fit it.
    app.commit(Gemfile=gemfile + 'gem "rake"\n')
    build_failed(app, r"Gemfile\.lock", r"`bundle install` failed")
    assert app.body() == "greet 1.1.0 two"
