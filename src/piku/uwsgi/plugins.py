"""The options with which uWSGI serves an app of each language."""

from __future__ import annotations

from collections.abc import Iterable

from piku.uwsgi.ini import Pairs

# Options that let a process of several Python threads end: whichever has answered the last of
# UWSGI_MAX_REQUESTS ends the others, and then Python. That waits for the main thread, which is no
# more, if `threading` was imported after the fork: the process would hang until it is killed.
THREADED: Pairs = (("py-import", "threading"),)


def python(plugin: str, module: str, virtualenv: str) -> Pairs:
    return (
        ("plugins", plugin),
        ("virtualenv", virtualenv),
        ("module", module),
        ("need-app", "true"),
        ("single-interpreter", "true"),
        # A process forked while a thread of the module's is at work would wait for that one for
        # ever.
        ("py-call-uwsgi-fork-hooks", "true"),
    )


def gevent(plugin: str, greenlets: int) -> Pairs:
    """Options that have gevent answer many requests in one process."""
    # Unpatched, the standard library would block, and requests would wait for each other.
    return (("plugins", plugin), ("gevent", str(greenlets)), ("gevent-monkey-patch", "true"))


def asyncio(plugins: str, tasks: int) -> Pairs:
    """Options that have asyncio answer many requests in one process, each in a greenlet."""
    return (("plugins", plugins), ("asyncio", str(tasks)), ("greenlet", "true"))


def rack(config: str, *, bundled: bool) -> Pairs:
    return (
        ("plugins", "rack"),
        ("rbrequire", "rubygems"),
        ("rbrequire", "bundler/setup" if bundled else ""),
        ("rack", config),
        ("post-buffering", "4096"),
        ("need-app", "true"),
    )


def java(entry: str, classpath: Iterable[str]) -> Pairs:
    """Options of a Java application: `entry` is "package/Class:method"."""
    jars = (("jvm-classpath", path) for path in classpath)
    return (("plugins", "jvm,jwsgi"), *jars, ("jwsgi", entry))


def php(docroot: str, *, safe: str, hidden: Iterable[str], allow_git: bool) -> Pairs:
    """Options of a PHP application (specification, "PHP Configuration").

    Links in the document root may lead into the folder `safe`, of which only what is no script is
    served. Files whose path ends with one of `hidden` are not.
    """
    return (
        ("plugins", "php"),
        ("php-docroot", docroot),
        ("php-allowed-ext", ".php"),
        ("php-index", "index.php"),
        ("check-static", docroot),
        ("static-index", "index.html"),
        *(("static-skip-ext", end) for end in (".php", ".inc", *hidden)),
        ("static-safe", safe),
        ("route", "" if allow_git else r"/\.git break:404 Not Found"),
    )
