"""Fixtures of the base room."""

from tests.base.fakes import fast, inline, lab

__all__ = ["fast", "inline", "lab"]
