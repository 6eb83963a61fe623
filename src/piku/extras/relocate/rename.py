"""Giving an app another name, with everything that belongs to it.

Its environments hold paths with its name, so it stops, is moved, and is deployed anew. A record
says that this has begun: what is killed meanwhile is finished by the next housekeeping, and each
step can be done twice.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from piku import dotenv, files, locks, records
from piku.cli.common import caller, changing, own_command, own_environment
from piku.deploy import checkout, deploy, releases
from piku.errors import PikuError
from piku.extras.relocate.unfinished import Rename, record_file, unfinished
from piku.operate import destroy
from piku.output import Output
from piku.paths import AppName, AppPaths, Paths
from piku.ssh import git
from piku.tls import certificate


def begin(paths: Paths, old: AppPaths, new: AppPaths, output: Output) -> None:
    """Rename an app, or finish what a killed command has begun."""
    if any((one.old, one.new) == (old.name, new.name) for one in unfinished(paths)):
        finish(paths, old.name, output)
        return
    paths.existing(old.name)
    deploy.require_platform(paths)
    with changing(paths, old, f"renaming it to {new.name}"):
        for place in (new.repo, *(theirs for _, theirs in _places(old, new))):
            if place.is_file() or (place.is_dir() and any(place.iterdir())):
                what = "is the app's" if place == new.repo else "was left by an app of that name"
                hint = "choose another name, or move it away"
                raise PikuError(f"the name {new.name!r} is taken: {place} {what}", hint=hint)
        live = releases.live(old)
        if live:  # they would go with its old checkout
            checkout.check_untracked(old, live.checkout)
        if os.path.ismount(old.data):
            hint = f"unmount it, and mount it at {new.data} afterwards"
            raise PikuError(f"{old.data} is a disk of its own, which cannot be moved", hint=hint)
        begun = Rename(
            old=old.name, new=new.name, stopped=bool(live and live.stopped),
            commit=releases.load_release(old, live.release).commit if live else "",
        )  # fmt: skip
        records.save(record_file(paths, old.name), begun)
    finish(paths, old.name, output)


def finish_all(paths: Paths) -> None:
    """Finish what was cut off (housekeeping)."""
    for one in list(unfinished(paths)):
        with contextlib.suppress(locks.LockHeld):
            finish(paths, one.old, Output(), patient=False)


def finish(paths: Paths, name: str, output: Output, *, patient: bool = True) -> None:
    """Do what is left of a rename; each step may have been done before."""
    record = record_file(paths, name)
    guard = record.with_suffix(".lock")
    with locks.lock(guard, "renaming", patient=patient):
        if one := records.load(record, Rename):
            _finish(paths, one, output, patient=patient)
        files.remove(guard)


def _finish(paths: Paths, one: Rename, output: Output, *, patient: bool) -> None:
    old, new = paths.app(AppName.parse(one.old)), paths.app(AppName.parse(one.new))
    if not one.moved:
        with (
            locks.lock(old.lock, f"renaming it to {new.name}", patient=patient),
            locks.lock(new.lock, f"renaming {old.name} to it", patient=patient),
        ):
            output.step(f"Stopping {old.name}, and moving it to {new.name}")
            destroy.end(paths, old)
            _move(old, new)
            with open(os.devnull, "w") as null:  # checkouts, links, what nginx reads
                destroy.destroy(paths, old, Output(null))
            records.save(record_file(paths, one.old), replace(one, moved=True))
    deploy.require_platform(paths)
    try:
        _deploy(paths, new, one)
    except PikuError:
        files.remove(record_file(paths, one.old))
        output.warn(f"{new.name} has everything of {old.name}: piku deploy {new.name}")
        raise
    files.remove(record_file(paths, one.old))


def _places(old: AppPaths, new: AppPaths) -> Iterator[tuple[Path, Path]]:
    """What belongs to an app, and where it goes. The repository is the last: it is the app."""
    yield from ((old.data, new.data), (old.cache, new.cache), (old.logs, new.logs))
    for kind in (certificate.OWN, certificate.ACME):
        yield certificate.place(old, kind), certificate.place(new, kind)
    yield old.envs, new.envs


def _move(old: AppPaths, new: AppPaths) -> None:
    for place, theirs in _places(old, new):
        for empty in (theirs, place):
            with contextlib.suppress(OSError):
                empty.rmdir()
        # What is there already was moved before.
        if place.exists() and not theirs.exists():
            place.rename(theirs)
    # They were built for the old name.
    files.discard([place for place in new.envs.glob("*") if place.is_dir()])
    own = dotenv.load(new.settings)
    there = re.compile(rf"{re.escape(str(old.data))}(?![\w.-])")
    changed = {key: there.sub(lambda _: str(new.data), value) for key, value in own.items()}
    if changed != own:
        releases.write_settings(new, changed)
    if old.repo.is_dir():
        old.repo.rename(new.repo)
    git.create_repository(new, own_command(), own_environment())


def _deploy(paths: Paths, app: AppPaths, one: Rename) -> None:
    if not one.commit:
        return
    with changing(paths, app, f"a rename from {one.old}") as output:
        if releases.live(app) is not None:
            return
        request = deploy.Request(
            kind="deploy", description=f"renamed from {one.old}", commit=one.commit, by=caller(),
            own=dotenv.load(app.settings), activate=not one.stopped,
        )  # fmt: skip
        deploy.deploy(paths, app, request, output)
