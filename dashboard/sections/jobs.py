"""The jobs and files of a candidate."""

from __future__ import annotations

import streamlit as st

from dashboard.tables.candidate import artifacts_table, jobs_table
from trials.store.read.candidate import CandidateDetail


def show_jobs(detail: CandidateDetail) -> None:
    """Show the candidate's jobs and files side by side."""
    left, right = st.columns(2, gap="medium")
    if detail.jobs:
        left.subheader("Jobs")
        left.dataframe(jobs_table(detail.jobs), hide_index=True, key="jobs")
    if detail.artifacts:
        right.subheader("Files")
        right.dataframe(artifacts_table(detail.artifacts), hide_index=True, key="artifacts")
