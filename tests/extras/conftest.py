"""Servers as in the other end-to-end tests."""

from tests.e2e.conftest import new_app, own_server, server

__all__ = ["new_app", "own_server", "server"]
