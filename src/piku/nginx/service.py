"""piku's own nginx: checking a configuration, installing it, and knowing that it is in use."""

from __future__ import annotations

import functools
import os
import re
import signal
import tempfile
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from piku import files, ports, procfs, subprocesses
from piku.errors import PikuError
from piku.nginx import server, vhost
from piku.nginx.site import Around, Platform, Site
from piku.paths import SEPARATOR, AppName, Paths

COMMON = f"{SEPARATOR}common.conf"
DEFAULT = f"{SEPARATOR}default.conf"
MARK = "# Written by piku, and written anew at every change.\n"
_RELOAD_TIMEOUT = 30.0
# For the variable of that name. nginx's processes share the memory that its configuration takes. What the
# C library keeps in lists of freed memory each of them tidies for itself, and has a copy of its own from
# then on: a quarter more for every app.
GLIBC_TUNABLES = "glibc.malloc.mxfast=0:glibc.malloc.tcache_count=0"


# A site, and what it depends on beside.
Sites = Mapping[AppName, tuple[Site, Around]]


def platform(paths: Paths) -> Platform:
    """Where nginx listens, as `piku up` was last told, else on the standard ports of every address; and
    what the installed one can do."""
    stored = files.read_json(paths.platform) or {"ipv6": ports.has_ipv6()}
    version, modules = build("nginx")
    return Platform(
        **{name: stored[name] for name in ("http_port", "https_port", "host", "ipv6") if name in stored},
        acme=str(paths.acme), version=version, modules=modules, typed=typed(),
    )  # fmt: skip


@functools.cache
def build(program: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The version of nginx, and the modules it was built with."""
    if subprocesses.which(program) is None:
        return (), ()
    said = subprocesses.run([program, "-V"], merged=True)
    version = re.search(r"nginx/([0-9.]+)", said)
    modules = re.findall(r"--with-([a-z0-9_]+)(?=[\s']|$)", said)
    return tuple(int(part) for part in version[1].split(".")) if version else (), tuple(
        sorted(modules)
    )


@functools.cache
def typed() -> tuple[str, ...]:
    """The extensions of files that nginx's own list has a type for."""
    lines = re.findall(
        r"^\s*[\w.+-]+/[\w.+-]+\s+([^;{}]+);", files.read(Path(server.MIME_TYPES)), re.M
    )
    return tuple(sorted({extension for line in lines for extension in line.split()}))


def check(paths: Paths, sites: Sites, *, known_as: Mapping[str, str] | None = None) -> None:
    """Have the real nginx judge a configuration with these sites; raises PikuError with its words.

    `known_as` maps files of ours that hold a copy of what a user wrote to the user's own name.
    """
    # Not below the piku root: the paths of unix sockets must be short.
    with files.temporary_folder(Path(tempfile.gettempdir()), "piku-nginx") as folder:
        harmless = replace(platform(paths), harmless=folder)
        texts = {
            COMMON: server.common_config(_cloudflare(sites)),
            DEFAULT: server.default_config([site for site, _ in sites.values()], harmless),
            **{
                f"{name}.conf": vhost.app_config(site, harmless, around)
                for name, (site, around) in sites.items()
            },
        }
        for name, text in texts.items():
            Path(folder, name).write_text(text)
        main = Path(folder, "main")
        main.write_text(
            server.main_config(str(paths.root), [f"{folder}/*.conf"], harmless, check_only=folder)
        )
        try:
            subprocesses.run(["nginx", "-t", "-q", "-e", "stderr", "-p", folder, "-c", str(main)])
        except subprocesses.ProgramFailed as error:
            raise _refusal(error.output, {**(known_as or {}), f"{folder}/": ""}) from None


def check_addresses(paths: Paths, site: Site) -> None:
    """Raise PikuError for an address that is not this server's: `check` tries none, and nginx would end."""
    with_ipv6 = platform(paths).ipv6 and not site.no_ipv6
    wanted = {"NGINX_IPV4_ADDRESS": site.ipv4, "NGINX_IPV6_ADDRESS": site.ipv6 if with_ipv6 else ""}
    for name, address in wanted.items():
        if address and (problem := ports.cannot_listen(address, 0)):
            raise PikuError(
                f"{name}={address}: {problem}", hint="give an address of this server, or none"
            )


def check_installed(paths: Paths) -> None:
    """Have nginx judge what is installed, as it is about to read it; raises PikuError with its words."""
    try:
        subprocesses.run(["nginx", "-t", "-q", "-e", "stderr", "-c", str(paths.nginx_main)])
    except subprocesses.ProgramFailed as error:
        raise _refusal(error.output, {}) from None


def foreign(paths: Paths) -> list[Path]:
    """The files that nginx reads and piku did not write."""
    return sorted(path for path in paths.nginx.glob("*.conf") if not _is_ours(path))


def _refusal(output: str, known_as: Mapping[str, str]) -> PikuError:
    lines = [line for line in output.splitlines() if "[emerg]" in line] or output.splitlines()[-5:]
    text = re.sub(r"^.*?\[emerg\] (\d+#\d+: )?", "", lines[0]) if lines else "no reason was given"
    for ours, theirs in known_as.items():
        text = text.replace(ours, theirs)
    return PikuError(f"nginx refuses the configuration: {text}")


def _cloudflare(sites: Sites) -> tuple[str, ...]:
    return next((around.cloudflare for _, around in sites.values() if around.cloudflare), ())


def install(paths: Paths, sites: Sites, *, keep: Collection[AppName] = ()) -> bool:
    """Write the configuration of these sites; returns whether nginx has something to take up.

    Files of other apps go, except of those to `keep`; what a person put there stays. A reload that
    was cut off between the writing and nginx is remembered.
    """
    where = platform(paths)
    wanted = {
        paths.nginx / COMMON: server.common_config(_cloudflare(sites)),
        paths.nginx / DEFAULT: server.default_config([site for site, _ in sites.values()], where),
        **{
            paths.app(name).nginx: vhost.app_config(site, where, around)
            for name, (site, around) in sites.items()
        },
    }
    changed = {
        path: MARK + text for path, text in wanted.items() if files.read(path) != MARK + text
    }
    kept = {paths.app(name).nginx for name in keep}
    gone = [
        path
        for path in paths.nginx.glob("*.conf")
        if path not in {*wanted, *kept} and _is_ours(path)
    ]
    if changed or gone:
        _pending(paths).touch()
    for path, text in changed.items():
        files.write(path, text)
    for path in gone:
        files.remove(path)
    return _pending(paths).exists()


def want_reload(paths: Paths) -> None:
    """Have the next update make nginx read everything again, also where no text of ours has changed."""
    _pending(paths).touch()


def _is_ours(path: Path) -> bool:
    return files.read(path).startswith(MARK)


def _pending(paths: Paths) -> Path:
    return paths.nginx / "reload-pending"


def master_pid(paths: Paths) -> int | None:
    """The nginx that runs from our configuration, if any."""
    text = files.read(paths.nginx_pid).strip()
    command = files.read(Path("/proc", text, "cmdline")) if text.isdigit() else ""
    # nginx writes its title over its arguments, and cuts it off where their room ends: not all of the
    # path need be there.
    ours, shown = str(paths.nginx_main), command.replace("\0", " ").rstrip().partition(" -c ")[2]
    return int(text) if shown and ours.startswith(shown[: len(ours)]) else None


def reload(paths: Paths) -> None:
    """Have nginx use what is installed, and wait until it does; raises PikuError when it refuses.

    When this returns, no worker of before takes new connections: each says so in its title.
    """
    master = master_pid(paths)
    if master is None:
        files.remove(_pending(paths))
        return
    before = set(procfs.children(master))
    seen = paths.nginx_errors.stat().st_size if paths.nginx_errors.exists() else 0
    os.kill(master, signal.SIGHUP)
    for _ in files.poll(time.monotonic() + _RELOAD_TIMEOUT, most=0.01):
        now = [pid for pid in procfs.children(master) if "shutting down" not in procfs.command(pid)]
        if now and not before.intersection(now):
            files.remove(_pending(paths))
            return
        with paths.nginx_errors.open(errors="replace") as log:
            log.seek(seen)
            news = log.read()
        if "[emerg]" in news:
            raise _refusal(news, {})
    raise PikuError("nginx did not take up its new configuration", hint=f"see {paths.nginx_errors}")
