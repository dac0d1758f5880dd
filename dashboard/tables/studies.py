"""The table of studies."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from nas.foreign import line
from trials.reporting.labels import moment, number, title
from trials.store.read.studies import StudyRow

STUDY, COURSE = "Study", "Best so far"


def studies_table(rows: Sequence[StudyRow], course: Callable[[StudyRow], Sequence[float]]) -> pd.DataFrame:
    """Return one row per study; ``course`` returns the best values of its first objective so far."""
    return pd.DataFrame(
        [
            {
                STUDY: line(row.name),
                "State": line(row.state),
                COURSE: list(course(row)),
                "Best": line(" · ".join(_best(row))),
                "Trials": sum(row.counts.values()),
                "Complete": row.counts.get("complete", 0),
                "Failed": row.counts.get("failed", 0),
                **({"Tags": line(", ".join(row.remark.tags))} if any(other.remark.tags for other in rows) else {}),
                "Role": line(row.role.replace("_", " ")),
                "Now, or missing": line("; ".join([*filter(None, [row.phase]), *row.incomplete])),
                "Started": moment(row.created_at),
                "Seed": str(row.seed),
                "Group": line(row.group),
            }
            for row in rows
        ]
    )


def _best(row: StudyRow) -> list[str]:
    return [f"{title(key)} {number(key, row.best[key])}" for key in row.objectives if key in row.best]
