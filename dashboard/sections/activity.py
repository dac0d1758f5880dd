"""What a study does: its progress, what is new, its workers over time, and the trials that ended early."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from dashboard.context import Context
from dashboard.selection import SEEN
from dashboard.tables.activity import reasons_table, retried_table
from dashboard.widgets import draw, show_numbers
from nas.foreign import markdown
from trials.analysis.activity import timeline
from trials.reporting.charts.activity import timeline_figure
from trials.reporting.labels import counted, duration, numbered
from trials.reporting.study import StudyView
from trials.store.read.activity import OpenJobs, open_jobs_of, retried_jobs, started_jobs

#: Number of jobs on the timeline, and of retried jobs in the table.
MAX_JOBS, MAX_RETRIED = 300, 100


def show_progress(study: StudyView) -> None:
    """Show how much of the budget is spent, the time left, and what the study waits for."""
    row, found = study.row, study.spent
    of = f" of {found.budget:,}" if found.budget else ""
    cards = [("Trials ended", f"{found.ended:,}{of}", row.state)]
    if found.left_s is not None:
        cards.append(("Time left", duration(found.left_s), "at the rate so far"))
    cards.append(("Epochs trained", f"{study.costs.epochs:,}", f"{duration(study.costs.train_s)} of training"))
    cards.append(("Failed", f"{row.counts.get('failed', 0):,}", ""))
    show_numbers(cards)
    if found.budget:
        st.progress(min(found.ended / found.budget, 1.0))
    if row.phase:
        st.markdown(f"Now: {markdown(row.phase)}")
    jobs = open_jobs_of(study.source, study.name)
    for state, words in (("running", "Running"), ("queued", "Waiting for a worker")):
        own = [markdown(_words(item)) for item in jobs if item.state == state]
        if own:
            st.caption(f"{words}: {', '.join(own)}")
    if not jobs:
        st.caption("No job runs or waits.")
    for doubt in study.doubts:
        st.warning(markdown(doubt))


def _words(item: OpenJobs) -> str:
    return f"{item.count} {item.kind}" + (f" at {item.target}" if item.target else "")


def show_news(study: StudyView) -> None:
    """Say what is new on the front and among the failures since the visitor looked, until it is marked as seen."""
    key = f"{SEEN}{study.name}"
    front = frozenset(study.front.numbers.tolist())
    failures = frozenset(reason.kind for reason in study.reasons if reason.state == "failed")
    seen_front, seen_failures = st.session_state.setdefault(key, (front, failures))
    added, reasons = sorted(front - seen_front), failures - seen_failures
    news = [f"{len(added)} new on the front ({numbered(added)})"] if added else []
    if reasons:
        news.append(counted(len(reasons), "new failure reason"))
    if not news:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**Since you looked: {', '.join(news)}**")
        if st.button("Mark as seen"):
            st.session_state[key] = front, failures
            st.rerun()


def show_timeline(study: StudyView) -> None:
    """Plot the newest jobs in rows of training workers and targets."""
    now = datetime.now(UTC) if study.row.state == "running" else None
    bars = timeline(started_jobs(study.source, study.name, MAX_JOBS), now)
    if not bars:
        return
    st.subheader("Workers")
    draw(st, timeline_figure(bars), "timeline")
    st.caption(
        f"The newest jobs, at most {MAX_JOBS}. Jobs that overlap are in several rows; which worker ran a job is not "
        "recorded. Striped jobs are running, jobs with a red edge failed."
    )


def show_reasons(context: Context, study: StudyView) -> None:
    """List why trials ended early, with links to these trials."""
    reasons = study.reasons
    if not reasons:
        return
    st.subheader("Ended early")
    st.dataframe(reasons_table(reasons), hide_index=True, key="reasons")
    st.caption("Reasons that differ only in their numbers are counted together.")
    with st.container(horizontal=True):
        for state in dict.fromkeys(reason.state for reason in reasons):
            st.page_link(
                context.pages["trials"],
                label=f"Trials: {state}",
                icon=":material/filter_alt:",
                query_params={"study": study.name, "states": state},
            )


def show_retried(study: StudyView) -> None:
    """List the jobs that were started more than once."""
    jobs = retried_jobs(study.source, study.name, MAX_RETRIED)
    if jobs:
        st.subheader("Retried jobs")
        st.dataframe(retried_table(jobs), hide_index=True, key="retried")
