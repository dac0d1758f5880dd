"""Tables about the activity of a study."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from nas.foreign import line
from trials.analysis.activity import Reason
from trials.reporting.labels import moment
from trials.store.read.activity import Job


def reasons_table(found: Sequence[Reason]) -> pd.DataFrame:
    """Return one row per reason why trials ended early."""
    return pd.DataFrame(
        [
            {"State": reason.state, "Trials": reason.count, "Reason": line(reason.text) or "none recorded"}
            for reason in found
        ]
    )


def retried_table(jobs: Sequence[Job]) -> pd.DataFrame:
    """Return one row per job that was started more than once, the newest first."""
    return pd.DataFrame(
        [
            {
                "Trial": job.number,
                "Job": line(job.kind + (f" at {job.target}" if job.target else "")),
                "Attempts": job.attempt,
                "State": job.state,
                "Last start": moment(job.started_at),
                "Last error": line(job.error or ""),
            }
            for job in reversed(jobs)
        ]
    )
