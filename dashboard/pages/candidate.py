"""One candidate: its network layer by layer, its curve, its latency and how that was measured."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard.pages import Context, asked_number, draw, show_numbers
from dashboard.pages.study import choose_study
from dashboard.tables.study import (
    artifacts_table,
    choices_table,
    conditions_table,
    jobs_table,
    layers_table,
    profile_table,
    ratio_interval,
    run_times,
    sites_table,
)
from nas.foreign import line, lines, markdown
from nas.latency.protocol.samples import Samples
from nas.tasks.per_class import PREFIX
from trials.analysis.membership import membership_by_number
from trials.analysis.profiles import account, layer_times
from trials.reporting.charts.candidate import curves_figure, latency_figure, profile_figure
from trials.reporting.charts.front import front_figure
from trials.reporting.classes import confusion_rows
from trials.reporting.labels import inline, number, title
from trials.store.read.candidate import CandidateDetail, candidate_detail, samples_blob
from trials.store.read.candidates import candidates_page
from trials.store.read.points import points
from trials.store.read.studies import study_summary

TITLE, ICON, ORDER = "Candidate", ":material/account_tree:", 2
PURPOSES = {"twin": "dense twin"}
STATE_COLORS = {
    "complete": "green",
    "infeasible": "gray",
    "stopped": "violet",
    "failed": "red",
    "running": "blue",
}


def show(context: Context) -> None:
    """Show the candidate of the link, or the first of the study."""
    study = choose_study(context)
    last = candidates_page(context.source, study, limit=1, descending=True).rows if study else ()
    if study is None or not last:
        st.title("Candidate")
        st.info("There is no candidate yet. Launch a study with `nas search examples/digits.yaml`.")
        return
    detail = candidate_detail(context.source, study, _choose(last[0].number))
    _heading(context, detail)
    _outcome(detail)
    _metrics(context, detail)
    _network(context, detail)
    _sites(detail)
    if detail.curve.epochs:
        st.subheader("Training")
        figure = curves_figure({detail.row.number: detail.curve})
        draw(st, figure, "curve")
    _latency(context, detail)
    _profiles(detail)
    _jobs(detail)


def _choose(last: int) -> int:
    start = asked_number("candidate")
    if start > last:
        return start  # not there: the query says so, with the range of numbers
    key = int(st.sidebar.number_input("Candidate", 0, last, start))
    if str(key) != st.query_params.get("candidate"):
        st.query_params["candidate"] = str(key)
    return key


def _heading(context: Context, detail: CandidateDetail) -> None:
    row = detail.row
    st.page_link(
        context.pages["study"],
        label=f"Study {markdown(detail.study)}",
        icon=":material/arrow_back:",
        query_params={"study": detail.study},
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(f"Candidate {row.number}" + (", original" if row.original else ""), width="content")
        st.badge(markdown(row.state), color=STATE_COLORS.get(row.state, "gray"))
    st.caption(f"space {markdown(detail.space)} · identity {detail.identity[:16]}")


def _outcome(detail: CandidateDetail) -> None:
    row = detail.row
    if row.state == "failed":
        st.error(markdown(row.reason or "It failed without saying why."))
        if detail.traceback:
            with st.expander("Traceback", expanded=True):
                st.code(lines(detail.traceback), language="python")
    elif row.state == "queued":
        st.info("Queued: nothing has been measured yet.")
    elif row.state == "running":
        st.info("Running: what is known so far is shown below.")
    elif row.reason:
        st.warning(markdown(f"{row.state.capitalize()}: {row.reason}"))


def _metrics(context: Context, detail: CandidateDetail) -> None:
    cards = []
    share = membership_by_number(context.source, detail.study).get(detail.row.number)
    if share is not None:
        cards.append(("On the Pareto front", f"{share:.2f}", "probability"))
    for metric, value in detail.row.shown_metrics.items():
        if metric.startswith(PREFIX):
            continue
        known = value.low is not None and value.high is not None
        note = f"95 %: {value.low:.4g} to {value.high:.4g}" if known else ""
        cards.append((title(metric), number(metric, value.value), note))
    for item in detail.row.beside:
        where = f" at {item.target}" if len(detail.row.beside) > 1 else ""
        cards.append((f"Speed-up{where}", f"{item.speedup:.2f}×", "over its dense twin in fp32"))
    show_numbers(cards)
    for flag in detail.row.flags:
        slow = flag not in (*detail.row.doubts, *detail.row.missing)
        note = ": its latency does not lie below that of its dense twin" if slow else ""
        st.warning(f"{markdown(flag[:1].upper() + flag[1:])}{note}.")
    if detail.confusion is not None:
        with st.expander("Classes"):
            st.dataframe(confusion_rows(detail.confusion), hide_index=True)


def _network(context: Context, detail: CandidateDetail) -> None:
    left, right = st.columns([1.9, 1], gap="medium")
    table = layers_table(detail)
    with left:
        st.subheader("Layers")
        st.dataframe(
            table,
            hide_index=True,
            column_config={
                "Share of MACs": st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0),
                "Parameters": st.column_config.NumberColumn(format="localized"),
                "MACs": st.column_config.NumberColumn(format="localized"),
            },
            key="layers",
        )
        st.caption(f"{len(table)} layers · {detail.row.parameters:,} parameters · {detail.row.macs:,} MACs")
    with right:
        st.subheader("Choices")
        st.dataframe(choices_table(detail), hide_index=True, key="choices")
    if detail.row.state in ("complete", "infeasible"):
        _where(context, detail)


def _sites(detail: CandidateDetail) -> None:
    """What policies did, site by site."""
    table = sites_table(detail.artifacts)
    if table.empty:
        return
    st.subheader("Sparsity and precision by site")
    numbers = {name: st.column_config.NumberColumn(format="%.3g") for name in table.select_dtypes("float")}
    st.dataframe(table, hide_index=True, placeholder="—", column_config=numbers, key="sites")


def _where(context: Context, detail: CandidateDetail) -> None:
    """Where it stands among all candidates of its study."""
    summary = study_summary(context.source, detail.study)
    axes = [*summary.row.objectives, "number"][:2]
    found = points(context.source, detail.study, axes)
    own = found.numbers == detail.row.number
    if not (own & np.isfinite(found.values).all(axis=1)).any():
        return
    with st.expander("Among the candidates of its study"):
        shares = membership_by_number(context.source, detail.study)
        figure = front_figure(found, summary.limits, shares=shares, selected=detail.row.number)
        draw(st, figure, "where")


def _latency(context: Context, detail: CandidateDetail) -> None:
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
        # The newest of the candidate itself.
        index=max((place for place, item in enumerate(detail.measurements) if item.purpose != "twin"), default=0),
        format_func=names.__getitem__,
        key="measurement",
    )
    chosen = detail.measurements[place]
    left, right = st.columns([1.9, 1], gap="medium")
    samples = Samples.from_bytes(samples_blob(context.source, chosen.id))
    figure = latency_figure(*run_times(samples), ratio_interval(chosen))
    draw(left, figure, "latency")
    right.dataframe(conditions_table(chosen), hide_index=True, key="conditions")


def _profiles(detail: CandidateDetail) -> None:
    """Where the time of a run goes, by the runtime's own profiler; the newest profile of each target."""
    if not detail.profiles:
        if detail.row.state == "complete":
            st.caption(f"nas profile {markdown(detail.study)} {detail.row.number} says where the time of a run goes.")
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
        told = markdown(facts[:1].upper() + facts[1:])
        right.caption(
            f"{told}. A profiler takes time itself: the measured latency is the one to go by. "
            f"Mean of {profile.runs} runs, runtime {markdown(profile.runtime_version)}."
        )


def _jobs(detail: CandidateDetail) -> None:
    left, right = st.columns(2, gap="medium")
    if detail.jobs:
        left.subheader("Jobs")
        left.dataframe(jobs_table(detail.jobs), hide_index=True, key="jobs")
    if detail.artifacts:
        right.subheader("Files")
        right.dataframe(artifacts_table(detail.artifacts), hide_index=True, key="artifacts")
