"""Pages: one module each, found by being in this folder.

A page module has ``TITLE``, ``ICON`` (a material icon), ``ORDER`` (its place in the menu; visitors start at
the first one) and ``show(context)``. Its address is the name of its module; that of the first page is the root. What it
shows is chosen by query parameters (``?study=…&trial=…``), so that every view has a link.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def page_modules() -> dict[str, ModuleType]:
    """Name → module of every page, in the order of the menu."""
    names = [info.name for info in pkgutil.iter_modules(__path__)]
    modules = {name: importlib.import_module(f"{__name__}.{name}") for name in names}
    return dict(sorted(modules.items(), key=lambda item: (item[1].ORDER, item[0])))
