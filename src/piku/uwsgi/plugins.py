"""The options with which uWSGI serves an app of each language; PikuError when it cannot."""

from collections.abc import Mapping
from pathlib import Path

from piku.app import settings
from piku.errors import PikuError
from piku.runtimes import python
from piku.runtimes.base import Context
from piku.uwsgi.ini import Pairs

_JWSGI = "/usr/share/java/uwsgi.jar"


def options(context: Context, kind: str, command: str, *, virtualenv: str, data: Path) -> Pairs:
    """The options of an app of this process type; PHP may serve files of `data` as well."""
    if kind == "wsgi":
        return _python(context, command, virtualenv)
    if kind == "rwsgi":
        _require("rack", "uwsgi-plugin-rack-ruby3.1")
        return (
            ("plugins", "rack"),
            ("rbrequire", "rubygems"),
            ("rbrequire", "bundler/setup" if "Gemfile" in context.tree.files else ""),
            ("rack", command),
            ("need-app", "true"),
        )
    if kind == "jwsgi":
        _require("jwsgi", "uwsgi-plugin-jwsgi-openjdk-17")
        jars = (("jvm-classpath", path) for path in _classpath(context.checkout))
        return (("plugins", "jvm,jwsgi"), *jars, ("jwsgi", command))
    return _php(context, command, data)


def threads(values: Mapping[str, str], kind: str) -> int:
    """Threads of a uWSGI process; 0 where something else shares it. Two requests at once in one
    Ruby or PHP would crash it."""
    wanted = settings.THREADS.read(values)
    if kind not in ("rwsgi", "php"):
        shared = settings.GEVENT.read(values) or settings.ASYNCIO.read(values)
        return 0 if kind == "wsgi" and shared else wanted
    if settings.THREADS.name in values and wanted > 1:
        raise PikuError(
            f"UWSGI_THREADS: uWSGI cannot run {'Ruby' if kind == 'rwsgi' else 'PHP'} in threads",
            hint=f"unset it, and set UWSGI_PROCESSES={wanted} instead",
        )
    return 0


def _python(context: Context, module: str, virtualenv: str) -> Pairs:
    plugin = python.wsgi_plugin(context)
    return (
        ("plugins", plugin),
        ("virtualenv", virtualenv),
        ("module", module),
        ("need-app", "true"),
        ("single-interpreter", "true"),
        # A process forked while a thread of the module's is at work would wait for that one for
        # ever.
        ("py-call-uwsgi-fork-hooks", "true"),
        *_concurrency(context, plugin),
    )


def _concurrency(context: Context, plugin: str) -> Pairs:
    """How a Python process answers many requests at once: in greenlets, or in threads."""
    values = context.settings
    greenlets, tasks = settings.GEVENT.read(values), settings.ASYNCIO.read(values)
    if greenlets and tasks:
        raise PikuError(
            "UWSGI_GEVENT and UWSGI_ASYNCIO exclude each other", hint="unset one of them"
        )
    if greenlets:
        _require_library(context, "UWSGI_GEVENT", "gevent")
        _require(f"gevent_{plugin}", "uwsgi-plugin-gevent-python3")
        # Unpatched, the standard library would block, and requests would wait for each other.
        patched = ("gevent-monkey-patch", "true")
        return (("plugins", f"gevent_{plugin}"), ("gevent", str(greenlets)), patched)
    if tasks:
        _require_library(context, "UWSGI_ASYNCIO", "greenlet")
        _require(f"asyncio_{plugin}", "uwsgi-plugin-asyncio-python3")
        _require(f"greenlet_{plugin}", "uwsgi-plugin-greenlet-python3")
        both = f"greenlet_{plugin},asyncio_{plugin}"
        return (("plugins", both), ("asyncio", str(tasks)), ("greenlet", "true"))
    # Whichever thread has answered the last of UWSGI_MAX_REQUESTS ends the others, and then Python.
    # That waits for the main thread, which is no more, if `threading` was imported after the fork:
    # the process would hang until it is killed.
    return (("py-import", "threading"),) if threads(values, "wsgi") > 1 else ()


def _classpath(checkout: Path) -> list[str]:
    """What a Maven or Gradle build makes, and the classes of uWSGI itself."""
    jars = ("target/*.jar", "target/dependency/*.jar", "build/libs/*.jar")
    classes = ("target/classes", "build/classes/java/main")
    found = [folder for folder in map(checkout.joinpath, classes) if folder.is_dir()]
    found += [path for pattern in jars for path in sorted(checkout.glob(pattern))]
    return [*map(str, found), _JWSGI]


def _php(context: Context, command: str, data: Path) -> Pairs:
    """Specification, "PHP Configuration". Links may lead into the app's data, of which only what is
    no script is served."""
    _require("php", "uwsgi-plugin-php")
    folder = (context.checkout / command).resolve()
    is_own = any(folder.is_relative_to(own.resolve()) for own in (context.checkout, data))
    if not is_own or not folder.is_dir():
        raise PikuError(f"php: there is no folder {command!r} in this commit")
    return (
        ("plugins", "php"),
        ("php-docroot", str(folder)),
        ("php-allowed-ext", ".php"),
        ("php-index", "index.php"),
        # The front controller of a framework answers for whatever is no file.
        ("php-fallback2", "/index.php" if (folder / "index.php").is_file() else ""),
        ("check-static", str(folder)),
        ("static-index", "index.html"),
        *(("static-skip-ext", end) for end in (".php", ".inc", "/ENV", "/Procfile")),
        ("static-safe", str(data.resolve())),
        ("route", f"{settings.never_served(context.settings)} break:404 Not Found"),
    )


def _require(plugin: str, package: str) -> None:
    if not (python.PLUGINS / f"{plugin}_plugin.so").exists():
        raise PikuError(
            f"uWSGI on this server lacks its plugin {plugin!r}",
            hint=f"install it with: apt-get install {package}",
        )


def _require_library(context: Context, setting: str, library: str) -> None:
    if not list(context.environment.glob(f"lib/python3*/site-packages/{library}/__init__.py")):
        raise PikuError(
            f"{setting}: the app does not have {library}",
            hint=f"add {library} to its requirements",
        )
