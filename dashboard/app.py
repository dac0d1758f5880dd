"""The dashboard's main function: open the database and show the requested page. ``dashboard.launch`` starts it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import streamlit as st

from dashboard.actions import Actions
from dashboard.context import Context
from dashboard.launch import ALLOW_ACTIONS
from dashboard.pages import page_modules
from dashboard.views import Views
from dashboard.widgets import choose_images, errors_shown, retry, show_error
from nas.errors import NasError, StoreError
from trials.store.database.engine import open_engine

#: The icon is a local file, because the browser would fetch an icon given by name from the internet.
ICON = Path(__file__).with_name("icon.svg")
#: Reduces Streamlit's space above the title, which takes a sixth of a laptop's screen.
#: Lines through many axes need room: on a narrow screen, their chart is scrolled.
#: Streamlit puts columns below each other only on screens below 640 pixels, but the menu at the left takes 300.
STYLE = """<style>
[data-testid='stMainBlockContainer'] { padding-top: 3.2rem; }
[data-testid='stPageLink-NavLink'] * { white-space: normal; }
.st-key-parallel { overflow-x: auto; }
.st-key-parallel > div { min-width: 44rem; }
@media (min-width: 640px) and (max-width: 1100px) {
  [data-testid='stColumn'] { min-width: 11rem; }
  [data-testid='stColumn']:has(h3, .js-plotly-plot, [data-testid='stDataFrame']) { min-width: 100%; }
}
@media (max-width: 640px) { [data-testid='stMainBlockContainer'] { padding-top: 4.2rem; } }
</style>"""


def main() -> None:
    """Open the database and show the requested page."""
    st.set_page_config(page_title="Measured NAS", page_icon=str(ICON), layout="wide")
    st.html(STYLE)
    options = asked_options()
    try:
        views = st.cache_resource(_opened)(options.storage)
    except NasError as error:
        show_error(error)
        retry()
        return
    actions = Actions(options.storage, allowed=options.allow_actions)
    pages: dict[str, Any] = {}
    modules = page_modules()
    for index, (name, module) in enumerate(modules.items()):
        pages[name] = st.Page(
            _shower(module, Context(views, pages, name, actions)),
            title=module.TITLE,
            icon=module.ICON,
            url_path=name,
            default=index == 0,
        )
    chosen = st.navigation(list(pages.values()))
    chosen.run()
    choose_images()


def _opened(url: str) -> Views:
    return Views(open_engine(url))


def asked_options() -> argparse.Namespace:
    """Return the options of this process.

    ``storage`` is the database URL: from ``--storage``, else from NAS_STORAGE, else ``nas.db`` in the current folder.
    ``allow_actions`` is whether visitors may do more than look.
    """
    parser = argparse.ArgumentParser(prog="dashboard")
    parser.add_argument("--storage", default=os.environ.get("NAS_STORAGE") or "sqlite:///nas.db")
    parser.add_argument(ALLOW_ACTIONS, action="store_true")
    return parser.parse_args(sys.argv[1:])


def _shower(module: ModuleType, context: Context) -> Callable[[], None]:
    def show() -> None:
        with errors_shown():
            try:
                module.show(context)
            except StoreError:
                retry()
                raise

    return show
