"""Cloudflare's networks: as last fetched from its API, or those that come with piku."""

from __future__ import annotations

from piku import files
from piku.paths import TEMPLATES, Paths


def networks(paths: Paths) -> tuple[str, ...]:
    """The networks as last known."""
    shipped = TEMPLATES / "cloudflare.txt"
    return tuple((files.read(paths.cloudflare) or shipped.read_text()).split())
