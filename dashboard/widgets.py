"""Widgets that pages share: figures, big numbers, errors, and formats of table columns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec

import plotly.graph_objects as go
import streamlit as st

from dashboard.context import IMAGES
from dashboard.tables.study import bytes_metrics
from nas.errors import NasError
from nas.foreign import line, markdown
from trials.reporting.labels import label, title

#: Theme of the page → colour of a figure's text.
INKS = {"light": "#4b5563", "dark": "#aab2be"}
CARDS_A_ROW = 4
PNG, SVG = "PNG", "SVG"
#: Seconds between two attempts to read a database that could not be read.
RETRY_S = 5
P = ParamSpec("P")


def draw(
    place: Any, figure: go.Figure, key: str, *, select: Sequence[str] = (), on_select: Callable[[], None] | None = None
) -> Any:
    """Show ``figure`` in ``place`` and return the selection.

    ``select``: how points can be selected. ``on_select``: called when the visitor selects points or none; the selection
    is in the session's state under ``key``. Streamlit forgets it as soon as the figure has other data.
    """
    figure.update_layout(font_color=INKS.get(str(st.context.theme.type), INKS["light"]))
    choice = {"on_select": on_select or "rerun", "selection_mode": select} if select else {}
    image = {"format": str(st.session_state.get(IMAGES) or PNG).lower(), "filename": key, "scale": 2}
    config = {"displaylogo": False, "toImageButtonOptions": image}
    return place.plotly_chart(figure, key=key, theme=None, config=config, **choice)


def choose_images() -> None:
    """Show the menu of formats in which the camera above each chart saves it."""
    st.sidebar.segmented_control("Charts are saved as", (PNG, SVG), default=PNG, required=True, key=IMAGES)


def show_error(error: Exception) -> None:
    """Show the message of an error."""
    st.error(markdown(str(error)))


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show the message of an expected error in place of the rest of the block."""
    try:
        yield
    except NasError as error:
        show_error(error)


def repeat(work: Callable[P, None], every_s: float | None, *arguments: P.args, **settings: P.kwargs) -> None:
    """Do ``work`` as a part of the page of its own, again every ``every_s`` seconds, and show errors in its place."""

    @wraps(work)
    def part(*arguments: P.args, **settings: P.kwargs) -> None:
        with errors_shown():
            work(*arguments, **settings)

    st.fragment(part, run_every=every_s)(*arguments, **settings)


def retry() -> None:
    """Draw the whole page again in a few seconds."""
    shown_at = time.monotonic()

    def again() -> None:
        if time.monotonic() > shown_at + RETRY_S / 2:
            st.rerun()

    st.caption(f"This page tries again every {RETRY_S} seconds.")
    st.fragment(again, run_every=RETRY_S)()


def show_numbers(cards: Sequence[tuple[str, str, str]]) -> None:
    """Show cards in rows; each card has a heading, a big number, and a note that may be empty."""
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


def shown_label(metric: str) -> str:
    """Return the label of a metric for a select box, which does not interpret Markdown."""
    return line(label(metric))


def formats(table: Any, metrics: Any) -> dict[str, Any]:
    """Return Streamlit's format for each numeric column of a table."""
    settings = {name: st.column_config.NumberColumn(format="%.4g") for name in table.select_dtypes("float")}
    settings |= {title(key): st.column_config.NumberColumn(format="bytes") for key in bytes_metrics(metrics)}
    settings |= {name: st.column_config.NumberColumn(format="localized") for name in ("Parameters", "MACs")}
    settings["On the front"] = st.column_config.ProgressColumn(format="%.2f", min_value=0.0, max_value=1.0)
    speedups = [name for name in table.columns if name.startswith("Speed-up")]
    settings |= {name: st.column_config.NumberColumn(format="%.2f×") for name in speedups}
    return settings | {"Beware": st.column_config.TextColumn(width="medium")}
