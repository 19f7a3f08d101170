"""Runtimes: one interface to whatever executes a component. They register by name and import their library lazily."""

from engine.runtimes.base import Runtime
from engine.runtimes.registry import KNOWN_RUNTIMES, open_runtime

__all__ = ["KNOWN_RUNTIMES", "Runtime", "open_runtime"]
