"""The front of the listed trials; a box or lasso in it selects trials for the table."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dashboard.sections.axes import choose_axes
from dashboard.widgets import draw
from trials.reporting.charts.front import front_figure
from trials.reporting.study import StudyView


def show_trial_front(study: StudyView, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Plot the listed trials, and return those selected in the chart, in the order of the list; empty if none are."""
    axes, scales = choose_axes(study)
    points = study.points_on(axes)
    shown = points.take(np.isin(points.numbers, numbers))
    figure = front_figure(shown, study.summary.limits, shares=study.shares, scales=scales)
    figure.update_layout(dragmode="select", height=380)
    event = draw(st, figure, "trial_front", select=("points", "box", "lasso"))
    picked = _numbers(event)
    if picked:
        st.caption(f"{len(picked)} selected in the chart. Double-click the chart to list all again.")
    return numbers[np.isin(numbers, picked)]


def _numbers(event: Any) -> list[int]:
    points = [point["customdata"] for point in event["selection"]["points"] if point.get("customdata") is not None]
    return [int(np.ravel(number)[0]) for number in points]
