"""The commands of ``nas``: every module in this folder registers its commands with ``trials.cli.console.app``."""

from __future__ import annotations

import importlib
import pkgutil


def register_commands() -> None:
    """Import every module in this folder in the order of their names, which is also the order of ``nas --help``."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
