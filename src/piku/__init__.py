"""Piku: git push deploys on one server."""

__version__ = "0.1.0"
