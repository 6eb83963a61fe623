"""What an extra may add to the core, and the lookup of what is installed.

An extra is a folder of `piku/extras`, or a plugin of the server's owner, whose `__init__` holds an
`EXTRA`. What that names as "module:attribute" is loaded when it is used: an unused extra costs
nothing. `PIKU_EXTRAS` in the environment restricts those of the table: names, commas, or "none".
"""

import functools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

SELECTION = "PIKU_EXTRAS"


@dataclass(frozen=True, kw_only=True)
class Extra:
    """The hooks of one extra; an empty one is not called."""

    name: str
    commands: Mapping[str, str] = field(default_factory=dict)  # "backup" -> "module:function"
    elsewhere: str = ""  # -> names of commands of other systems, and what there is instead
    flags: Mapping[str, str] = field(default_factory=dict)  # "deploy" -> it with more flags
    record: str = ""  # context, command, words -> a context in which it runs (not of plugins)
    authorize: str = ""  # context, command, words: may a key with a role? (not of plugins)
    settings: str = ""  # -> a tuple of Setting
    procfile: str = ""  # app, tree without one, settings -> its text, or ""
    unchanged: str = ""  # paths, app, commit -> why a push of it deploys nothing, or ""
    runtimes: str = ""  # -> rows of the table of runtimes, which come before the core's
    version: str = ""  # runtime, context -> the runtime with the version of it that the app wants
    compile: str = ""  # deployment -> further programs (Run) that make what its checkout needs
    initial: str = ""  # app, tree, settings -> further ones, to keep with those of config:set
    check: str = ""  # deployment -> warnings; raises PikuError to refuse it
    deployed: str = ""  # deployment: once its release is live
    around: str = ""  # deployment, step, how it runs -> context of that (argv, env, sink, idle)
    confine: str = ""  # app, release, its revision, argv -> argv of a program of the app's
    one_off: str = ""  # app, release, its revision, argv of a command -> argv elsewhere, or None
    visible: str = ""  # app, values -> folders of sockets that its programs need in walls
    explain: str = ""  # deployment, last lines of a failed step -> why, a PikuError, or None
    uwsgi: str = ""  # deployment, process -> further options of its ini
    links: str = ""  # app, checkout, values, folder that nginx serves -> links in it to follow
    nginx: str = ""  # paths, app, site -> the Additions to its configuration, or None
    together: str = ""  # paths, all sites by app -> Additions that apps have by their neighbours
    include: str = ""  # app, checkout, file, text of NGINX_INCLUDE_FILE -> as nginx gets it
    resting: str = ""  # paths, app, live record -> vassals that need not run now
    stopping: str = ""  # deployment: before the live release stops for one that cannot overlap it
    superseding: str = ""  # deployment, live checkout: before another checkout takes its place
    prepare: str = ""  # deployment: its checkout is new, and nothing has run in it
    checked_out: str = ""  # app, folder, commit: before the files of a new checkout are used
    engine: str = ""  # settings -> whether its processes run elsewhere, started by a vassal
    wrap: str = ""  # deployment, process, argv -> argv of a daemon, around `confine`
    emperor: str = ""  # paths -> further options of the emperor's ini
    image: str = ""  # paths, app, release, its revision, where to, output -> the image's reference
    healthy: str = ""  # deployment, its processes that answer: before they are live
    unwell: str = ""  # deployment, process, its log -> the line that says why, and what to do
    ended: str = ""  # app, process -> why it ended, to follow "ended", or ""
    starting: str = ""  # paths: before the platform starts, in the process that becomes it
    reconciled: str = ""  # paths, app, live record: after the server follows it
    destroyed: str = ""  # paths, app: after the app is gone
    vassals: str = ""  # paths, sites -> file names and ini texts of vassals of the platform
    periodic: str = ""  # paths: every few minutes, in one process for all
    in_use: str = ""  # app -> numbers of releases whose files its programs still need
    rows: str = ""  # app -> further rows of `piku ps`
    notes: str = ""  # paths, app -> lines below the processes of `piku ps APP`
    history: str = ""  # paths, app, seconds -> the seconds of a step, and figures over time by name
    findings: str = ""  # paths, app -> pairs of what the doctor should warn of, and its fix
    dump: str = ""  # paths, app -> pairs of a name in the backup, and argv that writes its dump
    load: str = ""  # paths, app, name -> context of (argv that reads the dump, settings), or None


@functools.cache
def installed(*, plugged: bool = True) -> tuple[Extra, ...]:
    """The extras of this installation in the order of the table, then those of plugins."""
    from piku import plugins
    from piku.extras import EXTRAS
    from piku.paths import Paths

    chosen = os.environ.get(SELECTION, "").split(",")
    names = [name for name in EXTRAS if chosen == [""] or name in chosen]
    folder = Paths.from_environment(os.environ).root / "plugins"
    modules = plugins.modules(folder).values() if plugged else ()
    return (
        *(import_module(f"piku.extras.{name}").EXTRA for name in names),
        *(module.EXTRA for module in modules if hasattr(module, "EXTRA")),
    )


def hooks(kind: str, *, plugged: bool = True) -> Iterator[Any]:
    """What the extras have for one hook, loaded; with those of plugins, or without."""
    for extra in installed(plugged=plugged):
        if target := getattr(extra, kind):
            yield load(target)


def commands() -> dict[str, str]:
    """The commands of all extras: name to "module:function"."""
    return {name: target for extra in installed() for name, target in extra.commands.items()}


def flags(command: str) -> Iterator[Any]:
    """The functions with which extras add flags to a core command."""
    return (load(extra.flags[command]) for extra in installed() if command in extra.flags)


def load(target: str) -> Any:
    """The attribute that "module:attribute" names."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
