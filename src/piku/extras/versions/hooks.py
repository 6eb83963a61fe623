"""The hooks: the runtime of an app with its version, and what the push says of it."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from piku.deploy.deployment import Deployment
from piku.extras.versions.choice import Choice
from piku.extras.versions.choose import CHOOSERS, choose
from piku.runtimes import python
from piku.runtimes.base import Context, Run, Runtime


def version(runtime: Runtime, context: Context) -> Runtime:
    """The runtime, with what its app asks for in its key, build, variables and path. Where it
    cannot be had, its key fails: what was built once goes on."""
    if runtime.name not in CHOOSERS:
        return runtime
    chosen = functools.cache(lambda: choose(runtime.name, context))
    own_key = runtime.key or (lambda _context: "")

    def key(inner: Context) -> str:
        _refuse(chosen())
        return "\n".join(filter(None, (chosen().key, own_key(_with(chosen(), inner)))))

    def build(inner: Context) -> Iterator[Run]:
        yield from chosen().fetch(inner)
        yield from runtime.build(_with(chosen(), inner))

    def compile_(inner: Context) -> Iterator[Run]:
        _refuse(chosen())
        yield from runtime.compile(_with(chosen(), inner))

    def env(inner: Context) -> Mapping[str, str]:
        return {**runtime.env(inner), **chosen().variables}

    def path(inner: Context) -> tuple[Path, ...]:
        folder = chosen().folder
        return (*((folder,) if folder else ()), *runtime.path(inner))

    built = replace(runtime, key=runtime.key and key, build=build, compile=compile_)
    # Of the others, all that runs is in the environment.
    return replace(built, env=env, path=path) if runtime.name in ("go", "rust") else built


def _refuse(choice: Choice) -> None:
    if choice.problem is not None:
        raise choice.problem


def _with(choice: Choice, context: Context) -> Context:
    settings = {**context.settings, **choice.settings}
    return replace(context, settings=settings, interpreter=choice.interpreter)


def check(deployment: Deployment) -> list[str]:
    """Say which version an app gets that is built. A Python that uWSGI cannot serve is refused
    before anything is fetched."""
    name = deployment.revision.runtime.name
    if not deployment.release.has_own_code or name not in CHOOSERS:
        return []
    choice = choose(name, deployment.context)
    if deployment.plan.serving == "wsgi" and CHOOSERS[name] is CHOOSERS["python"]:
        python.wsgi_plugin(_with(choice, deployment.context))
    if choice.note:
        deployment.output.detail(choice.note)
    return [choice.warning] if choice.warning else []
