"""One sentence that says whether a search found more than its baseline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trials.analysis.histories import History
from trials.reporting.labels import counted
from trials.store.read.studies import StudyRow
from trials.store.records import ENDED


def verdict(group: Sequence[StudyRow], runs: Sequence[History]) -> str:
    """Compare the hypervolume of a group's searches and baselines; empty if searches or baselines found nothing yet.

    Studies that have not ended are compared at a number of trials that each of them has reached.

    Args:
        group: the compared studies.
        runs: their histories in the same order; all use the same box of hypervolume.
    """
    found = {role: [run for run in runs if run.role == role and len(run.numbers)] for role in ("search", "baseline")}
    if not all(found.values()):
        return ""
    compared = [run for each in found.values() for run in each]
    has_ended = all(row.state in ENDED for row in group)
    last = (max if has_ended else min)(run.last_number for run in compared)
    searches, baselines = ([float(run.reached(last)) for run in each] for each in found.values())
    ours, theirs = (round(float(np.mean(each)), 3) for each in (searches, baselines))
    word = "level with" if ours == theirs else "ahead of" if ours > theirs else "behind"
    begin = "The search is" if has_ended else f"After {counted(last + 1, 'trial')} each, the search is"
    strategy = next(row.strategy for row in group if row.role == "baseline")
    text = f"{begin} {word} its {strategy} baseline: hypervolume {ours:.3f} against {theirs:.3f}"
    if len(searches) == len(baselines) == 1:
        return f"{text}, one run each."
    num_ours, num_theirs = len(searches), len(baselines)
    counts = f"{num_ours} runs each" if num_ours == num_theirs else f"{num_ours} and {num_theirs} runs"
    spans = " against ".join(f"{min(each):.3f} to {max(each):.3f}" for each in (searches, baselines))
    return f"{text} on average of {counts} ({spans})."
