"""Java with Maven or Gradle: built in each checkout; downloads are kept in the app's cache."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from piku import subprocesses
from piku.errors import PikuError
from piku.runtimes.base import Context, Run, Runtime, how_to_install, real_program, search_path

# A build is short: little optimisation, a simple collector, at most half of the machine's memory.
_SHORT = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:MaxRAMPercentage=50"
# Maven names every file that it downloads, twice; one that it cannot get is still an error.
_QUIET = (
    "-Djansi.noreset=true"
    " -Dorg.slf4j.simpleLogger.log.org.apache.maven.cli.transfer.Slf4jMavenTransferListener=warn"
)
_MAVEN_FILES = re.compile(r"(.*/)?pom\.xml|\.mvn/.*|mvnw")
_GRADLE_FILES = re.compile(r".*(\.gradle(\.kts)?|gradle\.(properties|lockfile)|gradlew)|gradle/.*")


def _tool(context: Context, wrapper: str, installed: str) -> tuple[str, ...]:
    """The repository's wrapper script, else the installed program."""
    if wrapper not in context.tree.files:
        return (installed,)
    script = context.checkout / wrapper
    # Repositories made on Windows often lack the executable bit.
    return (str(script),) if os.access(script, os.X_OK) else ("sh", str(script))


def _key(context: Context, wrapper: str, installed: str, files: re.Pattern[str]) -> str:
    if wrapper not in context.tree.files and not subprocesses.which(installed, search_path()):
        raise PikuError(
            f"this server has no {installed}, and the repository no {wrapper}",
            hint=f"install with: {how_to_install([installed])} — or commit the wrapper script",
        )
    home = context.settings.get("JAVA_HOME", "")
    counted = filter(files.fullmatch, context.tree.files)
    return "\n".join((real_program("javac"), home, *context.digests(counted)))


# --- Maven ---------------------------------------------------------------------------------------


def _maven(context: Context, word: str) -> Run:
    repository = f"-Dmaven.repo.local={context.cache / 'maven' / 'repository'}"
    return Run(argv=(*_tool(context, "mvnw", "mvn"), "-B", repository, word))


def _maven_env(context: Context) -> Mapping[str, str]:
    # The wrapper keeps the Maven that it downloads below MAVEN_USER_HOME.
    return {"MAVEN_OPTS": f"{_SHORT} {_QUIET}", "MAVEN_USER_HOME": str(context.cache / "maven")}


MAVEN = Runtime(
    name="maven",
    title="Java (Maven)",
    detect=lambda tree, _procfile: "pom.xml" in tree.files,
    requires=(("java",), ("javac",)),
    key=lambda context: _key(context, "mvnw", "mvn", _MAVEN_FILES),
    # The wrapper downloads its Maven here, and the push shows which versions build.
    build=lambda context: iter((_maven(context, "--version"),)),
    compile=lambda context: iter((_maven(context, "package"),)),
    env=_maven_env,
)


# --- Gradle --------------------------------------------------------------------------------------


def _gradle(context: Context, *words: str) -> Run:
    tool = _tool(context, "gradlew", "gradle")
    return Run(argv=(*tool, "--no-daemon", "--console=plain", *words))


def _gradle_env(context: Context) -> Mapping[str, str]:
    return {"GRADLE_USER_HOME": str(context.cache / "gradle"), "GRADLE_OPTS": _SHORT}


GRADLE = Runtime(
    name="gradle",
    title="Java (Gradle)",
    detect=lambda tree, _procfile: bool({"build.gradle", "build.gradle.kts"} & tree.files.keys()),
    requires=(("java",), ("javac",)),
    key=lambda context: _key(context, "gradlew", "gradle", _GRADLE_FILES),
    build=lambda context: iter((_gradle(context, "--version"),)),
    # The build cache has what was compiled from the same sources for another release.
    compile=lambda context: iter((_gradle(context, "--build-cache", "build"),)),
    env=_gradle_env,
)
