"""The axes of a chart of trials, which the address holds."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.sections.zoom import show_all
from dashboard.widgets import shown_label
from trials.reporting.charts.front import SCALES
from trials.reporting.study import StudyView


def choose_axes(study: StudyView, heading: str = "") -> tuple[list[str], tuple[str, str]]:
    """Show the menus of the vertical and the horizontal axis; return both and their scales.

    Another axis has other values, so that the whole chart is shown then.
    """
    *place, y_menu, y_side, x_menu, x_side = st.columns(
        [*([3] if heading else []), 1.2, 1, 1.2, 1], vertical_alignment="bottom"
    )
    if place:
        place[0].subheader(heading)
    axes = list(dict.fromkeys([*study.summary.metrics, "parameters", "macs", "number"]))
    first, second = study.axes
    bound: dict[str, Any] = {"format_func": shown_label, "bind": "query-params", "on_change": show_all}
    y = y_menu.selectbox("Vertical axis", axes, axes.index(first), key="y", **bound)
    y_scale = _scale(y_side, "Vertical scale", "y-scale")
    rest = [axis for axis in axes if axis != y]
    start = rest.index(second) if second in rest else 0
    x = x_menu.selectbox("Horizontal axis", rest, start, key="x", **bound)
    return [str(y), str(x)], (y_scale, _scale(x_side, "Horizontal scale", "x-scale"))


def _scale(place: Any, label: str, key: str) -> str:
    note = "An axis with values that are not positive is linear."
    return str(place.selectbox(label, SCALES, key=key, bind="query-params", help=note))
