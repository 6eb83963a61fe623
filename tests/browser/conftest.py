"""A server as in the other end-to-end tests."""

from tests.e2e.conftest import new_app, server

__all__ = ["new_app", "server"]
