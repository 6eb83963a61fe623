"""Java with Maven or Gradle: built in each checkout; downloads are kept in the app's cache."""

import os
import re
from collections.abc import Mapping

from piku.runtimes.base import Context, Run, Runtime, real_program

# A build is short: little optimisation, a simple collector, at most half of the machine's memory.
_SHORT = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:MaxRAMPercentage=50"
# A repository that errs once, or says nothing for a minute, is asked again.
_PATIENT = "-Dmaven.wagon.rto=60000 -Dmaven.wagon.http.serviceUnavailableRetryStrategy.class="
_MAVEN_FILES = re.compile(r"(.*/)?pom\.xml|\.mvn/.*|mvnw")
_GRADLE_FILES = re.compile(r".*(\.gradle(\.kts)?|gradle\.(properties|lockfile)|gradlew)|gradle/.*")


def _tool(context: Context, wrapper: str, installed: str) -> tuple[str, ...]:
    """The repository's wrapper script, else the installed program."""
    if wrapper not in context.tree.files:
        return (installed,)
    script = context.checkout / wrapper
    # Repositories made on Windows often lack the executable bit.
    return (str(script),) if os.access(script, os.X_OK) else ("sh", str(script))


def _key(context: Context, files: re.Pattern[str]) -> str:
    home = context.settings.get("JAVA_HOME", "")
    counted = filter(files.fullmatch, context.tree.files)
    return "\n".join((real_program("javac"), home, *context.digests(counted)))


# --- Maven ---------------------------------------------------------------------------------------


def _maven(context: Context, word: str) -> Run:
    repository = f"-Dmaven.repo.local={context.cache / 'maven' / 'repository'}"
    tool = _tool(context, "mvnw", "mvn")
    return Run(argv=(*tool, "-B", "-ntp", repository, word))


def _maven_env(context: Context) -> Mapping[str, str]:
    # The wrapper keeps the Maven that it downloads below MAVEN_USER_HOME.
    return {
        "MAVEN_OPTS": f"{_SHORT} {_PATIENT}standard -Djansi.noreset=true",
        "MAVEN_USER_HOME": str(context.cache / "maven"),
    }


MAVEN = Runtime(
    name="maven",
    title="Java (Maven)",
    detect=lambda tree, _procfile: "pom.xml" in tree.files,
    requires=(("java",), ("javac",)),
    key=lambda context: _key(context, _MAVEN_FILES),
    # The wrapper downloads its Maven here, and the push shows which versions build.
    build=lambda context: iter((_maven(context, "--version"),)),
    compile=lambda context: iter((_maven(context, "package"),)),
    env=_maven_env,
)


# --- Gradle --------------------------------------------------------------------------------------


def _gradle(context: Context, *words: str) -> Run:
    tool = _tool(context, "gradlew", "gradle")
    return Run(argv=(*tool, "--no-daemon", "--console=plain", *words))


GRADLE = Runtime(
    name="gradle",
    title="Java (Gradle)",
    detect=lambda tree, _procfile: bool({"build.gradle", "build.gradle.kts"} & tree.files.keys()),
    requires=(("java",), ("javac",)),
    key=lambda context: _key(context, _GRADLE_FILES),
    build=lambda context: iter((_gradle(context, "--version"),)),
    # The build cache has what was compiled from the same sources for another release.
    compile=lambda context: iter((_gradle(context, "--build-cache", "build"),)),
    env=lambda context: {"GRADLE_USER_HOME": str(context.cache / "gradle"), "GRADLE_OPTS": _SHORT},
)
