"""Releases and the way one goes live."""
