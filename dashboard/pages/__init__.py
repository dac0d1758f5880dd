"""Pages: one module each, found by being in this folder.

A page module has ``TITLE``, ``ICON`` (a material icon), ``ORDER`` (its place in the menu; visitors start at
the first one) and ``show(context)``. Its address is its module's name. What it shows is chosen by query
parameters (``?study=…&candidate=…``), so that every view has a link.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from nas.errors import UnknownNameError
from nas.foreign import line, markdown
from trials.store.read.session import Source

#: Colour of a figure's text, by the theme of the page.
INKS = {"light": "#4b5563", "dark": "#aab2be"}
CARDS_A_ROW = 4


@dataclass(frozen=True)
class Context:
    """What a page gets: where to read, and the pages it can lead to by name."""

    source: Source
    #: Module name → streamlit's page.
    pages: Mapping[str, Any]


def page_modules() -> dict[str, ModuleType]:
    """Name → module of every page, in the order of the menu."""
    names = [info.name for info in pkgutil.iter_modules(__path__)]
    modules = {name: importlib.import_module(f"{__name__}.{name}") for name in names}
    return dict(sorted(modules.items(), key=lambda item: (item[1].ORDER, item[0])))


def draw(place: Any, figure: go.Figure, key: str, *, select: bool = False) -> Any:
    """Show ``figure`` in ``place``; with ``select`` points can be clicked; what is selected is returned."""
    figure.update_layout(font_color=INKS.get(str(st.context.theme.type), INKS["light"]))
    choice = {"on_select": "rerun", "selection_mode": "points"} if select else {}
    return place.plotly_chart(figure, key=key, theme=None, config={"displaylogo": False}, **choice)


def show_error(error: Exception) -> None:
    """What can't be shown, and why, in its own words."""
    st.error(markdown(str(error)))


def asked_number(key: str) -> int:
    """A number from the link; 0 where it has none.

    Raises:
        UnknownNameError: what the link says is no number, or is larger than any there can be.
    """
    asked = st.query_params.get(key, "0")
    if not re.fullmatch(r"[0-9]{1,9}", asked):
        raise UnknownNameError(f"the link says {key}={asked!r}; write a whole number from 0 to 999999999")
    return int(asked)


def show_numbers(cards: Sequence[tuple[str, str, str]]) -> None:
    """Big numbers in rows: heading, number, and a note that may be empty."""
    for start in range(0, len(cards), CARDS_A_ROW):
        row = cards[start : start + CARDS_A_ROW]
        for column, (heading, value, note) in zip(st.columns(CARDS_A_ROW), row, strict=False):
            column.metric(
                markdown(heading),
                line(value),
                markdown(note) or None,
                delta_color="off",
                delta_arrow="off",
                border=True,
                height="stretch",
            )
