"""What Java builds depend on, and which program builds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from piku.app import procfile
from piku.app.tree import Tree
from piku.runtimes.base import Context, Runtime
from piku.runtimes.java import GRADLE, MAVEN

WEB = procfile.parse("web: x")


def context(files: Sequence[str], *, changed: str = "", root: Path = Path("/r")) -> Context:
    tree = Tree(
        files={name: "two" if name == changed else "one" for name in files}, read=lambda _path: ""
    )
    return Context(
        tree=tree, settings={}, checkout=root, environment=Path("/e"), cache=Path("/c"),
    )  # fmt: skip


def key(runtime: Runtime, found: Context) -> str:
    assert runtime.key is not None
    return runtime.key(found)


def test_detect() -> None:
    assert MAVEN.detect(context(["pom.xml"]).tree, WEB)
    assert not MAVEN.detect(context(["sub/pom.xml"]).tree, WEB)
    assert GRADLE.detect(context(["build.gradle"]).tree, WEB)
    assert GRADLE.detect(context(["build.gradle.kts"]).tree, WEB)
    assert not GRADLE.detect(context(["settings.gradle", "sub/build.gradle"]).tree, WEB)


MAVEN_FILES = (
    "pom.xml",
    "sub/pom.xml",
    "mvnw",
    ".mvn/wrapper/maven-wrapper.properties",
    ".mvn/maven.config",
)
GRADLE_FILES = (
    "build.gradle", "sub/build.gradle.kts", "settings.gradle", "gradle.properties", "gradlew", "gradle.lockfile",
    "gradle/libs.versions.toml", "gradle/wrapper/gradle-wrapper.properties",
)  # fmt: skip


@pytest.mark.parametrize(
    ("runtime", "files", "changed"),
    [(MAVEN, MAVEN_FILES, path) for path in MAVEN_FILES]
    + [(GRADLE, GRADLE_FILES, path) for path in GRADLE_FILES],
)
def test_key(runtime: Runtime, files: Sequence[str], changed: str) -> None:
    files = (*files, "src/main/java/App.java")
    assert key(runtime, context(files)) != key(runtime, context(files, changed=changed))
    assert key(runtime, context(files)) == key(
        runtime, context(files, changed="src/main/java/App.java")
    )


@pytest.mark.parametrize(
    ("runtime", "wrapper", "program"), [(MAVEN, "mvnw", "mvn"), (GRADLE, "gradlew", "gradle")]
)
def test_the_wrapper_builds_when_there_is_one(
    runtime: Runtime, wrapper: str, program: str, tmp_path: Path
) -> None:
    (run,) = runtime.compile(context(["x"], root=tmp_path))
    assert run.argv[0] == program
    script = tmp_path / wrapper
    script.write_text("#!/bin/sh\n")
    (run,) = runtime.compile(context([wrapper], root=tmp_path))
    assert run.argv[:2] == ("sh", str(script))
    script.chmod(0o755)
    (run,) = runtime.compile(context([wrapper], root=tmp_path))
    assert run.argv[0] == str(script)


def test_what_is_downloaded_outlives_a_release() -> None:
    (run,) = MAVEN.compile(context(["pom.xml"]))
    assert "-Dmaven.repo.local=/c/maven/repository" in run.argv
    assert MAVEN.env(context([]))["MAVEN_USER_HOME"] == "/c/maven"
    assert GRADLE.env(context([]))["GRADLE_USER_HOME"] == "/c/gradle"
    (run,) = GRADLE.compile(context(["build.gradle"]))
    assert {"--no-daemon", "--build-cache"} < set(run.argv)
