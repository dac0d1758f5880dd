"""Pages: every module in this folder is a page.

A page module has ``TITLE``, ``ICON`` (a material icon), ``ORDER`` (its place in the menu; visitors start at
the first one) and ``show(context)``. The module's name is the page's address; the first page's address is the root.
Query parameters (``?study=…&trial=…``) select what the page shows, so that every view has a link.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def page_modules() -> dict[str, ModuleType]:
    """Return name → module of every page, in the order of the menu."""
    names = [info.name for info in pkgutil.iter_modules(__path__)]
    modules = {name: importlib.import_module(f"{__name__}.{name}") for name in names}
    return dict(sorted(modules.items(), key=lambda item: (item[1].ORDER, item[0])))
