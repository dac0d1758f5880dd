"""The ``nas`` command: one file a group of verbs."""

from trials.cli.app import main

__all__ = ["main"]
