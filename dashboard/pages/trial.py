"""The page of one trial: its network layer by layer, its learning curve, its latency and how it was measured."""

from __future__ import annotations

import streamlit as st

from dashboard.context import Context
from dashboard.sections.drawing import show_drawing
from dashboard.sections.final_training import show_final_trainings
from dashboard.sections.jobs import show_jobs
from dashboard.sections.latency import show_latency, show_profiles
from dashboard.sections.network import show_network, show_sites
from dashboard.sections.remarks import show_remark
from dashboard.sections.variant import show_variant
from dashboard.selection import asked_number, choose_study
from dashboard.widgets import draw, show_numbers
from nas.foreign import lines, markdown
from nas.tasks.per_class import PREFIX
from trials.reporting.charts.candidate import curves_figure
from trials.reporting.classes import confusion_rows
from trials.reporting.labels import number, title
from trials.reporting.study import StudyView
from trials.store.read.candidate import CandidateDetail
from trials.store.read.candidates import candidates_page

TITLE, ICON, ORDER = "Trial", ":material/account_tree:", 4
STATE_COLORS = {
    "complete": "green",
    "infeasible": "gray",
    "measured_only": "orange",
    "paused": "yellow",
    "stopped": "violet",
    "failed": "red",
    "running": "blue",
}


def show(context: Context) -> None:
    """Show the trial that the link names, or the first of the study."""
    name = choose_study(context)
    last = candidates_page(context.source, name, limit=1, descending=True).rows if name else ()
    if name is None or not last:
        st.title("Trial")
        st.info("There is no trial yet. Launch a study with `nas search examples/digits.yaml`.")
        return
    study = context.study(name)
    _show(context, study, study.detail(_choose(last[0].number)))


def _show(context: Context, study: StudyView, detail: CandidateDetail) -> None:
    _heading(context, detail)
    show_remark(context, study.name, detail.row.number, detail.row.remark)
    _outcome(detail)
    _metrics(study, detail)
    show_drawing(detail)
    show_network(study, detail)
    show_variant(context, study, detail)
    show_sites(detail)
    if detail.curve.epochs:
        st.subheader("Training")
        figure = curves_figure({detail.row.number: detail.curve})
        draw(st, figure, "curve")
    show_final_trainings(detail)
    show_latency(study, detail)
    show_profiles(detail)
    show_jobs(detail)


def _choose(last: int) -> int:
    start = asked_number("trial")
    if start > last:
        return start  # no such trial: the query raises an error that says which numbers exist
    key = int(st.sidebar.number_input("Trial", 0, last, start))
    if str(key) != st.query_params.get("trial"):
        st.query_params["trial"] = str(key)
    return key


def _heading(context: Context, detail: CandidateDetail) -> None:
    row = detail.row
    with st.container(horizontal=True):
        st.page_link(
            context.pages["study"],
            label=f"Study {markdown(detail.study)}",
            icon=":material/arrow_back:",
            query_params={"study": detail.study},
        )
        st.page_link(
            context.pages["export"],
            label="Export",
            icon=":material/archive:",
            query_params={"study": detail.study, "rule": "one trial", "trial": str(row.number)},
        )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(f"Trial {row.number}" + (", original" if row.original else ""), width="content")
        st.badge(markdown(row.state), color=STATE_COLORS.get(row.state, "gray"))
    st.caption(f"space {markdown(detail.space)} · identity {detail.identity[:16]}")


def _outcome(detail: CandidateDetail) -> None:
    row = detail.row
    if row.state == "failed":
        st.error(markdown(row.reason or "The trial failed, and no reason was recorded."))
        if detail.traceback:
            with st.expander("Traceback", expanded=True):
                st.code(lines(detail.traceback), language="python")
    elif row.state == "queued":
        st.info("Queued: nothing has been measured yet.")
    elif row.state == "running":
        st.info("Running: the results so far are shown below.")
    elif row.reason:
        st.warning(markdown(f"{row.state.capitalize()}: {row.reason}"))


def _metrics(study: StudyView, detail: CandidateDetail) -> None:
    cards = []
    share = study.shares.get(detail.row.number)
    if share is not None:
        cards.append(("On the Pareto front", f"{share:.2f}", "probability"))
    for metric, value in detail.row.shown_metrics.items():
        if metric.startswith(PREFIX):
            continue
        known = value.low is not None and value.high is not None
        note = f"95 %: {value.low:.4g} to {value.high:.4g}" if known else ""
        cards.append((title(metric), number(metric, value.value), note))
    for item in detail.row.speedups:
        where = f" at {item.target}" if len(detail.row.speedups) > 1 else ""
        cards.append((f"Speed-up{where}", f"{item.speedup:.2f}×", "over its dense twin in fp32"))
    show_numbers(cards)
    for flag in detail.row.flags:
        slow = flag not in (*detail.row.doubts, *detail.row.missing)
        note = ": its latency is not below the latency of its dense twin" if slow else ""
        st.warning(f"{markdown(flag[:1].upper() + flag[1:])}{note}.")
    if detail.confusion is not None:
        with st.expander("Classes"):
            st.dataframe(confusion_rows(detail.confusion), hide_index=True)
