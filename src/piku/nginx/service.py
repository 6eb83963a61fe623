"""piku's own nginx: checking a configuration, installing it, and knowing that it is in use."""

import functools
import os
import re
import signal
import tempfile
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from piku import errors, files, ports, procfs, records, subprocesses
from piku.app import settings
from piku.errors import PikuError
from piku.nginx import main_config, vhost
from piku.nginx.directives import render
from piku.nginx.site import Platform, Site, SiteState
from piku.paths import SEPARATOR, AppName, Paths

COMMON = f"{SEPARATOR}common.conf"
DEFAULT = f"{SEPARATOR}default.conf"
MARK = "# Written by piku, and written anew at every change.\n"
_PENDING = "reload-pending"
_RELOAD_TIMEOUT = 30.0

Sites = Mapping[AppName, tuple[Site, SiteState]]


def platform(paths: Paths, where: Platform | None = None) -> Platform:
    """Where nginx listens and what it can do, as it was last started by `piku up`: one that is
    upgraded runs on as it was. Before, the standard ports of every address, and the installed one.
    """
    if where is None and (started := records.load(paths.platform, Platform)):
        return started
    version, modules = build("nginx")
    workers = os.cpu_count() or 1
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    most = min(max(memory // 4 // 48_000 // workers, 1024), 8192)  # a TLS handshake takes 48 kB
    ipv6 = not ports.cannot_listen("::", 0)
    where = replace(where or Platform(), ipv6=ipv6, workers=workers, connections=most)
    return replace(where, root=str(paths.root), version=version, modules=modules)


def url(paths: Paths, site: Site) -> str:
    """The first address of a site."""
    return platform(paths).url(site.names[0], secure=site.https_only)


@functools.cache
def build(program: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The version of nginx, and the modules it was built with."""
    if subprocesses.which(program) is None:
        return (), ()
    text = subprocesses.run([program, "-V"], merged=True)
    version = re.search(r"nginx/([0-9.]+)", text)
    modules = re.findall(r"--with-([a-z0-9_]+)(?=[\s']|$)", text)
    numbers = version[1].split(".") if version else ()
    return tuple(int(part) for part in numbers), tuple(sorted(modules))


def _texts(paths: Paths, sites: Sites, where: Platform) -> dict[str, str]:
    """Every file of ours that nginx includes, by its name."""
    every = (None, *(site for site, _ in sites.values()))
    where = replace(where, named=tuple(sorted({a for one in every for a in where.addresses(one)})))
    texts = {
        COMMON: main_config.common_config(main_config.cloudflare_networks(paths), where),
        DEFAULT: main_config.default_config([site for site, _ in sites.values()], where),
    }
    for name, (site, state) in sites.items():
        texts[f"{name}.conf"] = render(vhost.directives(site, where, state))
    return texts


# --- checking ------------------------------------------------------------------------------------


def check(paths: Paths, sites: Sites) -> None:
    """Have the real nginx judge a configuration with these sites; raises PikuError with its words,
    in which an app's own file has its own name."""
    where, names = platform(paths), dict[str, str]()
    for site, _ in sites.values():
        check_addresses(site.values, where)
        try:
            open(site.access_log or os.devnull, "a").close()  # nginx does not, for a check
        except OSError as error:
            raise errors.of(error) from None
        if site.include:
            names[site.include] = settings.INCLUDE_FILE.read(site.values)
    # Not below the piku root: the paths of unix sockets must be short.
    with files.temporary_folder(Path(tempfile.gettempdir()), "piku-nginx") as folder:
        where = replace(where, check_dir=folder)
        for name, text in _texts(paths, sites, where).items():
            Path(folder, name).write_text(text)
        main = Path(folder, "main")
        main.write_text(main_config.main_config(where))
        _judge(["-p", folder, "-c", str(main)], {**names, f"{folder}/": ""})


def check_addresses(values: Mapping[str, str], where: Platform) -> None:
    """Raise PikuError for an address that is not this server's: nginx binds none for a check."""
    wanted = [settings.IPV4_ADDRESS]
    if where.ipv6 and not settings.DISABLE_IPV6.read(values):
        wanted.append(settings.IPV6_ADDRESS)
    for setting in wanted:
        address = setting.read(values)
        if address and (problem := ports.cannot_listen(address, 0)):
            hint = "give an address of this server, or none"
            raise PikuError(f"{setting.name}={address}: {problem}", hint=hint)


def check_installed(paths: Paths) -> None:
    """Have nginx judge what is installed; raises PikuError with its words."""
    _judge(["-c", str(paths.nginx_main)], {})


def _judge(options: list[str], names: Mapping[str, str]) -> None:
    try:
        subprocesses.run(["nginx", "-t", "-q", "-e", "stderr", *options])
    except subprocesses.ProgramFailed as error:
        raise _refusal(error.output, names) from None


def _refusal(output: str, names: Mapping[str, str]) -> PikuError:
    lines = [line for line in output.splitlines() if "[emerg]" in line] or output.splitlines()[-5:]
    text = re.sub(r"^.*?\[emerg\] (\d+#\d+: )?", "", lines[0]) if lines else "no reason was given"
    for ours, theirs in names.items():
        text = text.replace(ours, theirs)
    return PikuError(f"nginx refuses the configuration: {text}")


# --- installing ----------------------------------------------------------------------------------


def install(paths: Paths, sites: Sites, *, keep: Collection[AppName] = ()) -> bool:
    """Write the configuration of these sites; returns whether nginx has to reload.

    Files of other apps go, except of those to `keep`; what a person put there stays. A reload that
    was cut off between the writing and nginx is remembered.
    """
    wanted = {name: MARK + text for name, text in _texts(paths, sites, platform(paths)).items()}
    kept = {*wanted, *(paths.app(name).nginx.name for name in keep)}
    changed = [name for name, text in wanted.items() if files.peek(paths.nginx / name) != text]
    others = set(paths.nginx.glob("*.conf")) - set(foreign(paths))
    gone = [path for path in others if path.name not in kept]
    if changed or gone:
        want_reload(paths)
    for name in changed:
        files.write(paths.nginx / name, wanted[name])
    for path in gone:
        files.remove(path)
    return (paths.nginx / _PENDING).exists()


def want_reload(paths: Paths) -> None:
    """Have the next update reload nginx, also where none of our files has changed."""
    (paths.nginx / _PENDING).touch()


def foreign(paths: Paths) -> list[Path]:
    """The files that nginx reads and piku did not write."""
    found = sorted(paths.nginx.glob("*.conf"))
    return [path for path in found if not (files.peek(path) or "").startswith(MARK)]


# --- the running nginx ---------------------------------------------------------------------------


def master_pid(paths: Paths) -> int | None:
    """The nginx that runs from our configuration, if any."""
    text = files.read(paths.nginx_pid).strip()
    # nginx writes its title over its arguments, which may cut off the end of the path.
    shown = procfs.command(int(text)).partition(" -c ")[2] if text.isdecimal() else ""
    ours = str(paths.nginx_main)
    return int(text) if shown and ours.startswith(shown[: len(ours)]) else None


def end_orphans(paths: Paths) -> None:
    """End the workers whose nginx was killed: they keep its ports. One that was just forked still
    has the title of a master."""
    found = {pid: procfs.command(pid) for pid in procfs.working_in(paths.root)}
    every, master = {pid for pid in found if found[pid].startswith("nginx: ")}, master_pid(paths)
    procfs.end(every - ({master, *procfs.children(master)} if master else set()), 5)


def reload(paths: Paths) -> None:
    """Have nginx use what is installed, and wait until it does; raises PikuError when it refuses.

    When this returns, no old worker accepts new connections: each says so in its title.
    """
    master = master_pid(paths)
    if master is None:
        files.remove(paths.nginx / _PENDING)
        return
    before = set(procfs.children(master))
    paths.nginx_errors.touch(mode=0o640)  # somebody may have removed it
    seen = paths.nginx_errors.stat().st_size
    os.kill(master, signal.SIGHUP)
    for _ in files.poll(time.monotonic() + _RELOAD_TIMEOUT, most=0.01):
        now = [pid for pid in procfs.children(master) if "shutting down" not in procfs.command(pid)]
        if now and not before.intersection(now):
            files.remove(paths.nginx / _PENDING)
            return
        with paths.nginx_errors.open(errors="replace") as log:
            log.seek(seen)
            news = log.read()
        if "[emerg]" in news:
            raise _refusal(news, {})
    raise PikuError("nginx did not load its new configuration", hint=f"see {paths.nginx_errors}")


def has_old_workers(paths: Paths) -> bool:
    """Whether workers of a configuration before the present one still end what they have begun."""
    workers = procfs.children(master_pid(paths) or 0)
    return any("shutting down" in procfs.command(pid) for pid in workers)
