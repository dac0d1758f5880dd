"""The Pareto front of a study, and the candidate that was clicked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st

from dashboard.context import Context
from dashboard.widgets import draw, shown_label
from nas.foreign import markdown
from trials.analysis.membership import membership_by_number
from trials.reporting.charts.front import front_figure
from trials.reporting.labels import number, title
from trials.store.read.candidate import candidate_detail
from trials.store.read.points import points
from trials.store.read.studies import StudySummary


def show_front(context: Context, summary: StudySummary) -> None:
    """Show the candidates on two metrics, with the front; a click shows a candidate beside the figure."""
    objectives = list(summary.row.objectives)
    heads = st.columns([4, 1.2, 1.2], vertical_alignment="bottom")
    heads[0].subheader("Pareto front")
    axes = list(dict.fromkeys([*summary.metrics, "parameters", "macs", "number"]))
    second = objectives[1] if len(objectives) > 1 else "number"
    y = heads[1].selectbox("Vertical axis", axes, axes.index(objectives[0]), format_func=shown_label, key="axis_y")
    rest = [axis for axis in axes if axis != y]
    x_default = rest.index(second) if second in rest else 0
    x = heads[2].selectbox("Horizontal axis", rest, x_default, format_func=shown_label, key="axis_x")
    chart, side = st.columns([3.4, 1], gap="medium")
    shares = membership_by_number(context.source, summary.row.name)
    figure = front_figure(points(context.source, summary.row.name, [y, x]), summary.limits, shares=shares)
    event = draw(chart, figure, "front", select=True)
    with side:
        _selected(context, summary, event, shares)


def _selected(context: Context, summary: StudySummary, event: Any, shares: Mapping[int, float]) -> None:
    """Beside the chart: the candidate that was clicked."""
    picked = event["selection"]["points"]
    if not picked:
        st.caption("Click a point to see its trial.")
        st.caption(
            "Bars are 95 % intervals. Whose place on the front is not sure, given all intervals, is hollow; hollow and "
            "grey are infeasible; ticks below the plot are candidates the gate rejected before they were trained. "
            "Dashed red lines are limits."
        )
        return
    key = int(np.ravel(picked[0]["customdata"])[0])
    row = candidate_detail(context.source, summary.row.name, key).row
    with st.container(border=True):
        st.markdown(f"#### Trial {key}" + (", original" if row.original else ""))
        st.markdown(markdown(row.state + (f": {row.reason}" if row.reason else "")))
        if key in shares:
            st.markdown(f"On the front with probability **{shares[key]:.2f}**")
        for metric, value in row.shown_metrics.items():
            span = f"  \n:gray[{value.low:.4g} to {value.high:.4g}]" if value.low is not None else ""
            st.markdown(f"{markdown(title(metric))} **{markdown(number(metric, value.value))}**{span}")
        for flag in row.flags:
            st.markdown(f":orange[:material/warning: {markdown(flag)}]")
        target = {"study": summary.row.name, "trial": str(key)}
        st.page_link(
            context.pages["trial"],
            label="Open trial",
            icon=":material/arrow_forward:",
            query_params=target,
        )
