"""The page that tells whether the latencies of a study can be believed."""

from __future__ import annotations

import streamlit as st

from dashboard.context import Context
from dashboard.sections.measurements import show_disturbed, show_overview, show_repeats, show_targets, show_wide
from dashboard.selection import choose_study
from nas.foreign import line, markdown
from trials.store.read.measurements import MAX_MEASUREMENTS

TITLE, ICON, ORDER = "Measurements", ":material/speed:", 6


def show(context: Context) -> None:
    """Show the measurements of the study that the link names, else of the last one shown, else of the newest."""
    name = choose_study(context)
    st.title("Measurements")
    if name is None:
        st.info("This database has no studies yet. Launch one with `nas search examples/digits.yaml`.")
        return
    study = context.study(name)
    st.caption(f"Study {markdown(name)}, {markdown(study.row.state)}")
    rows, targets = study.measurements.rows, list(study.summary.targets)
    if not rows:
        st.info("Nothing has been measured yet.")
        return
    if len(targets) > 1:
        chosen = st.segmented_control("Target", targets, format_func=line, key="target", bind="query-params")
        targets = [chosen] if chosen else targets
        rows = tuple(row for row in rows if row.target in targets)
    if len(study.measurements.rows) == MAX_MEASUREMENTS:
        st.caption(f"The newest {MAX_MEASUREMENTS:,} measurements.")
    show_overview(study, rows)
    show_targets(study, rows, targets)
    show_repeats(study, rows)
    show_disturbed(study, rows)
    show_wide(study, rows)
