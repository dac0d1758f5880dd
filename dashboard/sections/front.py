"""The Pareto front of a study, and details of the clicked trial."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from dashboard.context import Context
from dashboard.selection import MAX_NUMBER
from dashboard.widgets import draw, errors_shown, shown_label
from nas.foreign import markdown
from trials.reporting.charts.front import SCALES, front_figure, show_part
from trials.reporting.labels import number, title
from trials.reporting.study import StudyView

#: Keys of the chart, and of the number of the trial beside it, which the address holds.
FRONT, PICKED = "front", "picked"
#: Keys of the ends of the part to show: of the horizontal axis, and of the vertical one.
ENDS = (("x-from", "x-to"), ("y-from", "y-to"))


def show_front(context: Context, study: StudyView) -> None:
    """Plot two metrics of all trials with their front, and show the clicked trial beside the figure."""
    axes, scales = choose_axes(study, "Pareto front")
    chart, side = st.columns([3.4, 1], gap="medium")
    picked = side.number_input("Trial", 0, MAX_NUMBER, None, 1, key=PICKED, bind="query-params", placeholder="none")
    zooms, part = _asked_part(side)
    figure = front_figure(
        study.points_on(axes),
        study.summary.limits,
        shares=study.shares,
        selected=picked,
        imported=study.imported,
        scales=scales,
    )
    show_part(figure, *part)
    figure.update_layout(dragmode="select" if zooms else "zoom")
    draw(chart, figure, FRONT, select=["box" if zooms else "points"], on_select=_zoom if zooms else _pick)
    with side:
        if picked is None:
            _explain()
        else:
            with errors_shown():
                _show_picked(context, study, int(picked))


def _asked_part(place: Any) -> tuple[bool, list[list[float | None]]]:
    """Ask for the part of the chart to show, which stays when a live study adds trials.

    Returns:
        Whether drawing a box in the chart zooms into it, and from which to which value both axes go; None stands for
        the end of the values.
    """
    known = any(key in st.query_params for keys in ENDS for key in keys)
    with place.expander("Zoom", expanded=known):
        zooms = st.toggle("Drag a box to zoom")
        part: list[list[float | None]] = []
        for axis, keys in zip(("Horizontal", "Vertical"), ENDS, strict=True):
            ends = zip(st.columns(2), keys, ("from", "to"), strict=True)
            part.append([_end(column, f"{axis} {word}", key) for column, key, word in ends])
        if known:
            st.button("Show all", on_click=_whole)
    return zooms, part


def _end(place: Any, label: str, key: str) -> float | None:
    found = place.number_input(label, value=None, format="%.5g", key=key, bind="query-params", placeholder="all")
    return None if found is None else float(found)


def choose_axes(study: StudyView, heading: str = "") -> tuple[list[str], tuple[str, str]]:
    """Show the menus of the vertical and the horizontal axis, which the address holds; return both and their scales."""
    *place, y_menu, y_side, x_menu, x_side = st.columns(
        [*([3] if heading else []), 1.2, 1, 1.2, 1], vertical_alignment="bottom"
    )
    if place:
        place[0].subheader(heading)
    axes = list(dict.fromkeys([*study.summary.metrics, "parameters", "macs", "number"]))
    first, second = study.axes
    bound: dict[str, Any] = {"format_func": shown_label, "bind": "query-params", "on_change": _whole}
    y = y_menu.selectbox("Vertical axis", axes, axes.index(first), key="y", **bound)
    y_scale = _scale(y_side, "Vertical scale", "y-scale")
    rest = [axis for axis in axes if axis != y]
    start = rest.index(second) if second in rest else 0
    x = x_menu.selectbox("Horizontal axis", rest, start, key="x", **bound)
    return [str(y), str(x)], (y_scale, _scale(x_side, "Horizontal scale", "x-scale"))


def _scale(place: Any, label: str, key: str) -> str:
    note = "An axis with values that are not positive is linear."
    return str(place.selectbox(label, SCALES, key=key, bind="query-params", help=note))


def _pick() -> None:
    """Show the clicked trial; imported networks have no number. A chart that is drawn anew reports no points."""
    points = [point for point in st.session_state[FRONT]["selection"]["points"] if "customdata" in point]
    if points:
        st.session_state[PICKED] = int(np.ravel(points[0]["customdata"])[0])


def _zoom() -> None:
    """Show the part in the box that was drawn."""
    for box in st.session_state[FRONT]["selection"]["box"]:
        for axis, keys in zip(("x", "y"), ENDS, strict=True):
            for key, end in zip(keys, sorted(map(float, box[axis])), strict=True):
                st.session_state[key] = float(f"{end:.5g}")


def _whole() -> None:
    """Show the whole chart; with another axis, because it has other values."""
    for keys in ENDS:
        for key in keys:
            st.session_state.pop(key, None)


def _explain() -> None:
    """Say how to read the chart."""
    st.caption("Click a point or type its number to see the trial.")
    st.caption(
        "Bars are 95 % intervals. A hollow point may or may not be on the front, given the intervals. Hollow grey "
        "points are infeasible. Ticks below the plot are candidates that the gate rejected before the training. "
        "Dashed orange lines are limits."
    )


def _show_picked(context: Context, study: StudyView, key: int) -> None:
    """Show the clicked trial with a link to its page."""
    row = study.detail(key).row
    with st.container(border=True):
        st.markdown(f"#### Trial {key}" + (", original" if row.original else ""))
        st.markdown(markdown(row.state + (f": {row.reason}" if row.reason else "")))
        if key in study.shares:
            st.markdown(f"On the front with probability **{study.shares[key]:.2f}**")
        for metric, value in row.shown_metrics.items():
            span = f"  \n:gray[{value.low:.4g} to {value.high:.4g}]" if value.low is not None else ""
            st.markdown(f"{markdown(title(metric))} **{markdown(number(metric, value.value))}**{span}")
        for flag in row.flags:
            st.markdown(f":orange[:material/warning: {markdown(flag)}]")
        target = {"study": study.name, "trial": str(key)}
        st.page_link(
            context.pages["trial"],
            label="Open trial",
            icon=":material/arrow_forward:",
            query_params=target,
        )
