"""Java apps: Maven and Gradle build them, they run on their own or inside uWSGI.

Maven Central is not asked: a settings.xml, chosen in the repository's .mvn/maven.config, names Debian's
repository of Java packages in its place, and Gradle is given Debian's folder of jars.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sandbox import Sandbox

from tests.e2e.support import App
from tests.runtimes.support import build_failed, built, reused

NewApp = Callable[..., App]
Example = Callable[[str], Path]

REPOSITORY = """\
<id>central</id>
<url>file:///usr/share/maven-repo</url>
<releases><checksumPolicy>ignore</checksumPolicy></releases>
"""
SETTINGS = f"""\
<settings>
  <profiles>
    <profile>
      <id>debian</id>
      <repositories><repository>{REPOSITORY}</repository></repositories>
      <pluginRepositories><pluginRepository>{REPOSITORY}</pluginRepository></pluginRepositories>
    </profile>
  </profiles>
  <activeProfiles><activeProfile>debian</activeProfile></activeProfiles>
</settings>
"""
LANG3 = """\
    <dependency>
      <groupId>org.apache.commons</groupId>
      <artifactId>commons-lang3</artifactId>
      <version>3.12.0</version>
    </dependency>
  </dependencies>
"""
REVERSED = 'org.apache.commons.lang3.StringUtils.reverse("abc")'
WRAPPER = '#!/bin/sh\n# Stands for the script that downloads its own %s.\necho "wrapped: $*"\nexec %s "$@"\n'
PACKAGED = 'DigestUtils.sha1Hex("piku")'


@pytest.fixture
def offline(server: Sandbox) -> dict[str, str]:
    """A file that has Maven ask Debian's repository."""
    file = server.home / ".m2" / "settings.xml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(SETTINGS)
    return {".mvn/maven.config": f"-s\n{file}\n"}


@pytest.fixture(autouse=True)
def no_daemon(server: Sandbox) -> Iterator[None]:
    yield
    left = [str(process) for process in server.processes()]
    assert not [line for line in left if "GradleDaemon" in line]


def change(app: App, path: str, old: str, new: str) -> None:
    text = (app.repository / path).read_text()
    assert old in text
    app.server.commit(app.repository, {path: text.replace(old, new)})


def test_maven(new_app: NewApp, example: Example, offline: dict[str, str]) -> None:
    app = new_app("mavenapp", example("java-maven"), push=False)
    app.server.commit(app.repository, offline)
    main = "src/main/java/hello/Main.java"
    first = built(app, "maven")
    assert app.body().startswith("Hello from Maven, release 1, ")
    kept = app.server.root / "cache" / app.name / "maven" / "repository" / "commons-codec"
    assert list(kept.rglob("*.jar"))

    live = (app.server.root / "apps" / app.name).resolve() / "target"
    before = {path: path.stat().st_mtime_ns for path in live.rglob("*")}
    change(app, main, "Hello from", "Goodbye from")
    said = reused(app, quick=False)
    assert not any("Downloading" in line for line in said), said
    assert app.body().startswith("Goodbye from Maven, release 2, ")
    assert {path: path.stat().st_mtime_ns for path in live.rglob("*")} == before

    change(app, "pom.xml", "  </dependencies>\n", LANG3)
    change(app, main, PACKAGED, REVERSED)
    assert built(app, "maven") != first
    assert app.body() == "Goodbye from Maven, release 3, cba\n"

    change(app, main, "String page() {", "String page() { broken")
    build_failed(
        app,
        r"Main\.java:\[\d+,\d+\] .*not a statement",
        r"`mvn -B .* package` failed with exit code 1",
    )
    assert app.body() == "Goodbye from Maven, release 3, cba\n"

    change(app, main, "String page() { broken", "String page() {")
    change(app, "pom.xml", "<version>3.12.0</version>", "<version>0.0.0</version>")
    build_failed(app, r"Could not find artifact org\.apache\.commons:commons-lang3:jar:0\.0\.0")
    assert app.body() == "Goodbye from Maven, release 3, cba\n"


def test_maven_wrapper_and_jwsgi(
    new_app: NewApp, example: Example, offline: dict[str, str]
) -> None:
    """uWSGI finds the libraries that the build put beside the jar."""
    app = new_app("mavenwrap", example("java-maven"), push=False)
    gradle = (example("java-gradle") / "src/main/java/hello/App.java").read_text()
    files = {
        **offline,
        "mvnw": WRAPPER % ("Maven", "mvn"),
        "Procfile": "jwsgi: hello/App:answer\n",
        "src/main/java/hello/App.java": gradle.replace("Hello from Gradle", "Hello from uWSGI"),
    }
    app.server.commit(app.repository, files)
    said = app.deployed()
    assert any("wrapped: -B " in line and line.endswith(" package") for line in said), said
    assert app.body().startswith("Hello from uWSGI, release 1, ")


def test_gradle_and_jwsgi(new_app: NewApp, example: Example) -> None:
    app = new_app("gradleapp", example("java-gradle"), push=False)
    source = "src/main/java/hello/App.java"
    change(app, "build.gradle", "mavenCentral()", "flatDir { dirs '/usr/share/java' }")
    first = built(app, "gradle")
    assert app.body().startswith("Hello from Gradle, release 1, ")

    # What is compiled from the same sources comes out of the cache, in another folder too.
    app.commit(README_md="Another text\n")
    said = reused(app, quick=False)
    assert any(":compileJava FROM-CACHE" in line for line in said), said
    change(app, source, "Hello from", "Goodbye from")
    said = reused(app, quick=False)
    assert not any("FROM-CACHE" in line for line in said), said
    assert app.body().startswith("Goodbye from Gradle, release 3, ")

    line = "    implementation 'commons-codec:commons-codec:1.15'\n"
    change(
        app,
        "build.gradle",
        line,
        line + "    implementation 'org.apache.commons:commons-lang3:3.12.0'\n",
    )
    change(app, source, PACKAGED, REVERSED)
    app.commit(gradlew=WRAPPER % ("Gradle", "gradle"))
    assert built(app, "gradle") != first
    assert app.body() == "Goodbye from Gradle, release 4, cba\n"
    assert "wrapped: --no-daemon --console=plain --build-cache build" in app.does("logs", "build")

    change(app, source, "String page() {", "String page() { broken")
    build_failed(
        app, r"App\.java:\d+: error: not a statement", r"`gradlew .* build` failed with exit code 1"
    )
    assert app.body() == "Goodbye from Gradle, release 4, cba\n"

    # uWSGI tries again without end when a class is missing.
    change(app, source, "String page() { broken", "String page() {")
    app.server.commit(app.repository, {"Procfile": "jwsgi: hello/Missing:answer\n"})
    said = app.failed()
    assert any("jwsgi.1 ended while it was starting" in line for line in said), said
    assert any("ClassNotFoundException: hello.Missing" in line for line in said), said
    assert app.body() == "Goodbye from Gradle, release 4, cba\n"
