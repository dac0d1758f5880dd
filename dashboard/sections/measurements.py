"""Whether the latencies of a study can be believed: targets, drift, repeats, disturbances, wide intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard.tables.measurements import disturbed_table, health_table, repeats_table, wide_table
from dashboard.widgets import draw, show_numbers
from nas.foreign import markdown
from trials.analysis.measurements import agreement, canaries, disturbed, measure_plan, repeats, wide
from trials.reporting.belief import belief
from trials.reporting.charts.measurements import drift_figure, repeats_figure
from trials.reporting.study import StudyView
from trials.store.read.measurements import Measured

#: Largest number of trials in the figure of repeats, and of rows in a table.
MAX_DRAWN, MAX_ROWS = 30, 200
TRIAL = st.column_config.LinkColumn(display_text=r"trial=(\d+)", help="Opens the trial in a new tab")
PERCENT = st.column_config.NumberColumn(format="%.1f %%")


def show_overview(study: StudyView, rows: Sequence[Measured]) -> None:
    """Show whether the latencies can be believed, and how many agree, are disturbed, and have wide intervals."""
    plan = measure_plan(study.summary.plan)
    words, reasons = belief(rows, plan)
    st.markdown(f"**{words}:** {markdown(reasons)}.")
    agreed, own = agreement(repeats(rows)), [row for row in rows if not row.reused]
    cards = [
        ("Measurements", f"{len(own):,}", f"and {len(rows) - len(own):,} copied"),
        ("Disturbed", f"{len(disturbed(rows)):,}", f"of {len(own):,}"),
        ("Wide intervals", f"{len(wide(rows, plan.precision)):,}", f"half width over {plan.precision:.1%}"),
    ]
    if agreed:
        note = f"of {agreed.count}, {agreed.median_change:.1%} apart"
        cards.insert(1, ("Repeats that agree", f"{agreed.overlapping:.0%}", note))
    show_numbers(cards)


def show_targets(study: StudyView, rows: Sequence[Measured], targets: Sequence[str]) -> None:
    """Show what the canaries found on each target, and how many measurements are trusted."""
    plan = measure_plan(study.summary.plan)
    found = canaries(rows)
    st.subheader("Targets")
    table = health_table(found, study.measurements.trust, targets, plan.max_drift)
    settings = {"Slower": PERCENT, "Throttled": PERCENT}
    st.dataframe(table, hide_index=True, placeholder="—", column_config=settings, key="health")
    st.caption(
        "A canary is a short check of a reference model against its calibration. "
        + (
            f"It runs after every {plan.canary_every} measurements. A good one makes the measurements before it good; "
            f"after a bad one they are quarantined and repeated. "
            if plan.canary_every
            else "This plan runs one at the start only, without consequences. "
        )
        + "Unverified measurements still wait for a canary."
    )
    if found:
        st.subheader("Drift")
        draw(st, drift_figure(found, plan.max_drift), "drift")
        st.caption(
            "One dot per canary, at the time of the first measurement after it; a hollow one has warnings. Below zero, "
            "the target is faster than calibrated."
        )


def show_repeats(study: StudyView, rows: Sequence[Measured]) -> None:
    """Show first measurements beside repeats, and what is recorded."""
    st.subheader("Measured again")
    found = repeats(rows)
    if not found:
        st.caption(
            "No file was measured twice. `confidence: {remeasure: 20}` in the plan repeats those that decide the front."
        )
        return
    draw(st, repeats_figure(found[-MAX_DRAWN:]), "repeats")
    if len(found) > MAX_DRAWN:
        st.caption(f"The figure shows the last {MAX_DRAWN} of {len(found)} trials.")
    _table(repeats_table(study.name, found[:MAX_ROWS]), "again", {})
    st.caption(
        "Each file was measured again at another time. The intervals of about 99 % of the repeats should overlap with "
        "those of the first measurements. After a repeat called remeasure, the recorded latency is pooled: it is "
        "computed from the samples of all measurements of this file that are not quarantined. Otherwise it is the last "
        "one. Cards, tables and fronts show the recorded latency. The menu on the page Trial shows each measurement "
        "alone, and `nas show STUDY TRIAL` also prints raw wall times, which are not corrected by a reference. These "
        "numbers may differ."
    )


def show_disturbed(study: StudyView, rows: Sequence[Measured]) -> None:
    """Show the measurements that something disturbed, with the reasons."""
    found = disturbed(rows)
    if found:
        st.subheader("Disturbed measurements")
        _table(disturbed_table(study.name, found[:MAX_ROWS]), "disturbed", {})
        st.caption(
            "They count for their trial, with an interval computed from their samples. No other trial uses them."
        )


def show_wide(study: StudyView, rows: Sequence[Measured]) -> None:
    """Show the trials whose recorded interval is wider than the plan asks for."""
    precision = measure_plan(study.summary.plan).precision
    found = wide(rows, precision)
    if found:
        st.subheader("Wide intervals")
        _table(wide_table(study.name, found[:MAX_ROWS]), "wide", {"Half width": PERCENT})
        st.caption(
            f"The plan asks for a half width of at most {precision:.1%}. Usually the budget of time of the measurement "
            "ended first. Trials that were rejected early are left out."
        )


def _table(table: Any, key: str, settings: dict[str, Any]) -> None:
    st.dataframe(table, hide_index=True, placeholder="—", column_config={"Trial": TRIAL, **settings}, key=key)
