"""CONTRIBUTING.md, "Add a runtime in 30 lines": the row that is printed there, as it is printed, builds apps."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from piku import runtimes
from piku.deploy import build, checkout, deploy, releases, revision
from piku.deploy.deployment import Deployment, Progress
from piku.errors import PikuError
from piku.output import Output
from piku.paths import AppPaths, Paths
from piku.runtimes import base

CONTRIBUTING = Path(__file__).resolve().parents[3] / "CONTRIBUTING.md"

# Stands in for cpanm: what the cpanfile "requires" becomes a module in the environment. Not with "broken".
CPANM = """\
#!/bin/sh
echo "cpanm $*"
grep -q broken cpanfile && { echo "cannot find broken"; exit 3; }
mkdir -p "$3/lib/perl5" "$PERL_CPANM_HOME"
sed -n "s/^requires '\\(.*\\)', '\\(.*\\)';/package \\1; sub version { '\\2' } 1;/p" cpanfile >"$3/lib/perl5/Greeting.pm"
"""
FILES = {
    "Procfile": "web: perl main.pl\nrelease: true\n",
    "main.pl": "use Greeting; print Greeting::version();",
    "cpanfile": "requires 'Greeting', '1.0';\n",
}


@pytest.fixture
def perl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> base.Runtime:
    """The printed row, with the two additions to the tables that the text asks for."""
    text = CONTRIBUTING.read_text()
    section = text.partition("## Add a runtime in 30 lines\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 30
    (name, package) = re.findall(r'`"(\w+)": "(\w+)"`', section)[0]
    file = tmp_path / "perl.py"
    file.write_text(code)
    spec = importlib.util.spec_from_file_location("piku.runtimes.perl", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    row: base.Runtime = module.PERL
    place = [found.name for found in runtimes.RUNTIMES].index("generic")
    monkeypatch.setattr(
        runtimes, "RUNTIMES", (*runtimes.RUNTIMES[:place], row, *runtimes.RUNTIMES[place:])
    )
    monkeypatch.setitem(base.PACKAGES, name, package)
    return row


@pytest.fixture
def cpanm(paths: Paths) -> Path:
    file = paths.home / ".local/bin/cpanm"
    file.parent.mkdir(parents=True)
    file.write_text(CPANM)
    file.chmod(0o755)
    return file


def release(paths: Paths, app: AppPaths, commit: str) -> tuple[Deployment, str]:
    """Build a release as a deploy does; the job, and what was said."""
    said = io.StringIO()
    record = releases.new_release(
        app, kind="push", description="", commit=commit, by="test", settings={}
    )
    folder = f"v{record.number}"
    found = revision.read(paths, app, commit, {}, checkout=folder)
    progress = Progress(app, record)
    progress.update(environment=found.environment, checkout=folder)
    deployment = deploy.prepare(paths, app, found, {}, Output(said), progress)
    checkout.create(app, folder, commit)
    build.prepare_environment(deployment)
    build.compile_checkout(deployment)
    return deployment, said.getvalue()


def answer(deployment: Deployment) -> str:
    """What the program prints, run with the variables that a worker has."""
    argv = ["perl", "main.pl"]
    return subprocess.run(
        argv,
        cwd=deployment.checkout,
        env=deployment.variables(),
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_the_printed_row_builds_apps(
    paths: Paths, shop: AppPaths, commit: Callable[..., str], perl: base.Runtime, cpanm: Path
) -> None:
    first, said = release(paths, shop, commit(shop, FILES))
    assert said.startswith(f"-----> Perl: building {first.release.environment}\n")
    assert f"cpanm --notest -L {first.context.environment} --installdeps ." in said
    assert answer(first) == "1.0"
    assert (first.context.cache / "cpanm").is_dir()

    second, said = release(paths, shop, commit(shop, {**FILES, "readme": "code only"}))
    assert f"Reusing {first.release.environment}" in said
    assert answer(second) == "1.0"

    third, said = release(
        paths, shop, commit(shop, {**FILES, "cpanfile": "requires 'Greeting', '2.0';\n"})
    )
    assert f"-----> Perl: building {third.release.environment}\n" in said
    assert (answer(third), answer(first)) == ("2.0", "1.0")

    with pytest.raises(PikuError, match=r"`cpanm .*` failed with exit code 3"):
        release(paths, shop, commit(shop, {**FILES, "cpanfile": "requires 'broken', '1';\n"}))
    assert sorted(os.listdir(shop.envs)) == sorted(
        {first.release.environment, third.release.environment}
    )


def test_what_it_lacks_is_said(
    paths: Paths, shop: AppPaths, commit: Callable[..., str], perl: base.Runtime
) -> None:
    name = commit(shop, FILES)
    with pytest.raises(PikuError) as caught:
        # `generic` comes later, and would match as well.
        revision.read(paths, shop, name, {}, checkout="v1")
    assert caught.value.message == "this is a Perl app, and this server lacks: cpanm"
    assert caught.value.hint == "install with: apt-get install cpanminus"
