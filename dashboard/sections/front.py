"""The Pareto front of a study, and details of the clicked trial."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st

from dashboard.context import Context
from dashboard.sections.axes import choose_axes
from dashboard.sections.zoom import asked_part, zoom
from dashboard.selection import MAX_NUMBER
from dashboard.widgets import draw, errors_shown
from nas.foreign import markdown
from trials.reporting.charts.front import front_figure, show_part
from trials.reporting.labels import number, title
from trials.reporting.study import StudyView

#: Keys of the chart, and of the number of the trial beside it, which the address holds.
FRONT, PICKED = "front", "picked"


def show_front(context: Context, study: StudyView) -> None:
    """Plot two metrics of all trials with their front, and show the clicked trial beside the figure."""
    axes, scales = choose_axes(study, "Pareto front")
    chart, side = st.columns([3.4, 1], gap="medium")
    picked = side.number_input("Trial", 0, MAX_NUMBER, None, 1, key=PICKED, bind="query-params", placeholder="none")
    zooms, part = asked_part(side)
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
    chosen = partial(zoom, FRONT) if zooms else _pick
    draw(chart, figure, FRONT, select=["box" if zooms else "points"], on_select=chosen)
    with side:
        if picked is None:
            _explain()
        else:
            with errors_shown():
                _show_picked(context, study, int(picked))


def _pick() -> None:
    """Show the clicked trial; imported networks have no number. A chart that is drawn anew reports no points."""
    points = [point for point in st.session_state[FRONT]["selection"]["points"] if "customdata" in point]
    if points:
        st.session_state[PICKED] = int(np.ravel(points[0]["customdata"])[0])


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
