"""Java with Maven or Gradle: built in each checkout, what they download kept in the app's cache."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from piku import subprocesses
from piku.errors import PikuError
from piku.runtimes.base import Context, Run, Runtime, how_to_install

# A build is short: compiled hardly, collected simply, and at most half of the machine's memory.
_SHORT = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:MaxRAMPercentage=50"
# Maven names every file that it downloads, twice; one that it cannot get is still an error.
_QUIET = (
    "-Djansi.noreset=true"
    " -Dorg.slf4j.simpleLogger.log.org.apache.maven.cli.transfer.Slf4jMavenTransferListener=warn"
)
_GRADLE_FILES = (".gradle", ".gradle.kts", "gradle.properties", "gradle.lockfile", "gradlew")


def _tool(context: Context, wrapper: str, installed: str) -> tuple[str, ...]:
    """The wrapper script that the repository has, else the installed program."""
    if wrapper not in context.tree.files:
        return (installed,)
    script = context.checkout / wrapper
    # Repositories made on Windows often lack the bit that makes it a program.
    return (str(script),) if os.access(script, os.X_OK) else ("sh", str(script))


def _search() -> str:
    return subprocesses.app_path(Path.home())


def _key(context: Context, wrapper: str, installed: str, counted: Iterable[str]) -> str:
    if wrapper not in context.tree.files and not subprocesses.which(installed, _search()):
        raise PikuError(
            f"this server has no {installed}, and the repository no {wrapper}",
            hint=f"install with: {how_to_install([installed])} — or commit the wrapper script",
        )
    compiler = str(Path(subprocesses.which("javac", _search()) or "javac").resolve())
    home = context.settings.get("JAVA_HOME", "")
    return "\n".join(
        (compiler, home, *sorted(f"{path} {context.tree.digest(path)}" for path in counted))
    )


# --- Maven ---------------------------------------------------------------------------------------


def _maven(context: Context, *words: str) -> Run:
    repository = f"-Dmaven.repo.local={context.cache / 'maven' / 'repository'}"
    return Run(argv=(*_tool(context, "mvnw", "mvn"), "-B", repository, *words))


def _maven_files(context: Context) -> Iterator[str]:
    for path in context.tree.files:
        if path.endswith("pom.xml") or path.startswith(".mvn/") or path == "mvnw":
            yield path


def _maven_env(context: Context) -> Mapping[str, str]:
    # The wrapper keeps the Maven that it downloads below MAVEN_USER_HOME.
    return {"MAVEN_OPTS": f"{_SHORT} {_QUIET}", "MAVEN_USER_HOME": str(context.cache / "maven")}


MAVEN = Runtime(
    name="maven",
    title="Java (Maven)",
    detect=lambda tree, _procfile: "pom.xml" in tree.files,
    requires=(("java",), ("javac",)),
    key=lambda context: _key(context, "mvnw", "mvn", _maven_files(context)),
    # The wrapper downloads its Maven here, and the push shows which versions build.
    build=lambda context: iter((_maven(context, "--version"),)),
    compile=lambda context: iter((_maven(context, "package"),)),
    env=_maven_env,
)


# --- Gradle --------------------------------------------------------------------------------------


def _gradle(context: Context, *words: str) -> Run:
    return Run(
        argv=(*_tool(context, "gradlew", "gradle"), "--no-daemon", "--console=plain", *words)
    )


def _gradle_files(context: Context) -> Iterator[str]:
    for path in context.tree.files:
        if path.endswith(_GRADLE_FILES) or path.startswith("gradle/"):
            yield path


def _gradle_env(context: Context) -> Mapping[str, str]:
    return {"GRADLE_USER_HOME": str(context.cache / "gradle"), "GRADLE_OPTS": _SHORT}


GRADLE = Runtime(
    name="gradle",
    title="Java (Gradle)",
    detect=lambda tree, _procfile: bool({"build.gradle", "build.gradle.kts"} & tree.files.keys()),
    requires=(("java",), ("javac",)),
    key=lambda context: _key(context, "gradlew", "gradle", _gradle_files(context)),
    build=lambda context: iter((_gradle(context, "--version"),)),
    # The build cache has what was compiled from the same sources for another release.
    compile=lambda context: iter((_gradle(context, "--build-cache", "build"),)),
    env=_gradle_env,
)
