"""A candidate's latency measurements and profiles."""

from __future__ import annotations

import streamlit as st

from dashboard.tables.candidate import conditions_table, profile_table, ratio_interval, run_times
from dashboard.widgets import draw
from nas.foreign import line, markdown
from nas.latency.protocol.samples import Samples
from trials.analysis.profiles import account, layer_times
from trials.reporting.charts.candidate import latency_figure, profile_figure
from trials.reporting.labels import counted, inline, number
from trials.reporting.study import StudyView
from trials.store.read.candidate import CandidateDetail, samples_blob

PURPOSES = {"twin": "dense twin"}


def show_latency(study: StudyView, detail: CandidateDetail) -> None:
    """Show the measurement that is chosen from a menu: every run, the interval, the conditions."""
    if not detail.measurements:
        return
    st.subheader("Latency")
    names = [
        line(f"{PURPOSES.get(item.purpose, item.purpose)} at {item.target}: {number('latency_ms', item.latency_ms)}")
        for item in detail.measurements
    ]
    place = st.selectbox(
        "Measurement",
        range(len(names)),
        # The newest measurement of the candidate itself.
        index=max((place for place, item in enumerate(detail.measurements) if item.purpose != "twin"), default=0),
        format_func=names.__getitem__,
        key="measurement",
    )
    chosen = detail.measurements[place]
    left, right = st.columns([1.9, 1], gap="medium")
    samples = Samples.from_bytes(samples_blob(study.source, chosen.id))
    figure = latency_figure(*run_times(samples), ratio_interval(chosen))
    draw(left, figure, "latency")
    right.dataframe(conditions_table(chosen), hide_index=True, key="conditions")


def show_profiles(detail: CandidateDetail) -> None:
    """Show the newest profile of each target: the time of each layer, as the runtime's profiler reports it."""
    if not detail.profiles:
        if detail.row.state == "complete":
            st.caption(f"nas profile {markdown(detail.study)} {detail.row.number} measures the time of each layer.")
        return
    st.subheader("Where the time goes")
    for tab, profile in zip(st.tabs([markdown(item.target) for item in detail.profiles]), detail.profiles, strict=True):
        left, right = tab.columns([1.9, 1], gap="medium")
        times = layer_times(profile.nodes)
        draw(left, profile_figure(times), f"profile_{profile.target}")
        right.dataframe(
            profile_table(times),
            hide_index=True,
            column_config={"Time (ms)": st.column_config.NumberColumn(format="%.4g")},
            key=f"profile_table_{profile.target}",
        )
        facts = ", ".join(f"{inline(key)} {number(key, value)}" for key, value in account(detail, profile).items())
        text = markdown(facts[:1].upper() + facts[1:])
        right.caption(
            f"{text}. The profiler itself takes time, so rely on the measured latency. "
            f"Mean of {counted(profile.runs, 'run')}, runtime {markdown(profile.runtime_version)}."
        )
