"""What a release is to run, and whether it may start beside the one before it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from piku.app import settings
from piku.app.procfile import UWSGI_SERVED, Procfile
from piku.errors import PikuError


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The decisions of one release.

    `no_overlap_reason` is empty when old and new may overlap, else why they may not. `port` says
    where a serving process listens: "socket", "each" (a port of its own), "fixed" (`PORT`) or
    "kept" (one assigned to the app for good).
    """

    serving: str
    workers: tuple[tuple[str, int], ...]
    instances: int
    port: str
    no_overlap_reason: str = ""
    warnings: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()  # what runs by a schedule
    counts: Mapping[str, int] | None = None  # what SCALING holds from now on, when that changes
    elsewhere: bool = False  # its processes run where an extra's engine puts them


def plan(
    procfile: Procfile, values: Mapping[str, str], counts: Mapping[str, int], *,
    memory_short: bool = False, elsewhere: bool = False, app: str = "APP",
) -> Plan:  # fmt: skip
    """Decide; raises PikuError when the settings contradict each other."""
    serving = procfile.serving
    named = bool(settings.SERVER_NAME.read(values))
    get_name = f"piku config:set {app} NGINX_SERVER_NAME=www.example.com"
    instances = counts.get(serving, 1) if serving else 0
    short = memory_short and not elsewhere
    port = _port(serving, named, bool(settings.PORT.read(values)), elsewhere)
    if instances > 1 and port in ("fixed", "kept"):
        raise PikuError(
            f"{serving}={instances} needs a port for each process, and this app has one",
            hint=f"give the app a host name: {get_name}"
            if port == "kept"
            else "remove PORT from the settings, or scale back to 1",
        )
    warnings = list(procfile.warnings)
    if "static" in procfile and not named:
        warnings.append(f"for nginx to serve it: {get_name}")
    answers = serving or "static" in procfile or settings.STATIC_PATHS.read(values)
    if named and not answers:
        warnings.append("The app has a host name, but no web, wsgi or static line to answer there")
    if serving and not instances:
        warnings.append(f"{serving} is scaled to 0: start one with piku ps:scale {app} {serving}=1")
    return Plan(
        serving=serving,
        instances=instances,
        workers=tuple((kind, counts.get(kind, 1)) for kind in procfile.workers),
        port=port,
        no_overlap_reason=_no_overlap_reason(port, values, short) if serving else "",
        warnings=tuple(warnings),
        jobs=tuple(entry.kind for entry in procfile.jobs),
        elsewhere=elsewhere,
    )


def _port(serving: str, named: bool, fixed: bool, elsewhere: bool) -> str:
    if serving in UWSGI_SERVED and named and not elsewhere:
        return "socket"
    if fixed:
        return "fixed"
    return "each" if named else "kept"


def _no_overlap_reason(port: str, values: Mapping[str, str], memory_short: bool) -> str:
    if settings.DEPLOY_STRATEGY.read(values) == "recreate":
        return "PIKU_DEPLOY_STRATEGY=recreate"
    if port == "fixed":
        return f"both releases need port {settings.PORT.read(values)}"
    if port == "kept":
        return "the app has no server name, and both releases need its one port"
    return "not enough free memory for two releases at once" if memory_short else ""


# --- SCALING -------------------------------------------------------------------------------------


def parse_scaling(text: str) -> dict[str, int]:
    """The counts kept in SCALING; "web=2" and "web:2" are both understood."""
    pairs = (line.replace(":", "=", 1).partition("=") for line in text.splitlines())
    return {kind.strip(): int(count) for kind, _, count in pairs if count.strip().isdecimal()}


def render_scaling(counts: Mapping[str, int]) -> str:
    return "".join(f"{kind}={count}\n" for kind, count in counts.items())


def scaled(
    procfile: Procfile, counts: Mapping[str, int], changes: Mapping[str, int]
) -> dict[str, int]:
    """`counts` with `changes`; raises PikuError for a type that cannot be scaled. One that a later
    Procfile is to bring can be scaled to 0: a worker that fails would not let it go live."""
    for kind, count in changes.items():
        if kind not in procfile.scalable and (count or kind in procfile):
            have = ", ".join(procfile.scalable) or "none"
            hint = f"these can be scaled: {have}"
            raise PikuError(f"{kind!r} is not a process type that can be scaled", hint=hint)
    return dict.fromkeys(procfile.scalable, 1) | dict(counts) | dict(changes)
