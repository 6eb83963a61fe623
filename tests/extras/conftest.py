"""Servers as in the other end-to-end tests, and what unit tests have."""

from tests.e2e.conftest import new_app, own_server, server
from tests.unit.conftest import hypothesis_settings, paths, shop

__all__ = ["hypothesis_settings", "new_app", "own_server", "paths", "server", "shop"]
