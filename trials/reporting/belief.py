"""One sentence or two that say whether the latencies of a study can be believed."""

from __future__ import annotations

from collections.abc import Sequence

from trials.analysis.measurements import Agreement, Canary, agreement, canaries, disturbed, repeats, wide
from trials.plans.plan import MeasurePlan
from trials.store.read.measurements import Measured

#: With a smaller share of repeats that agree with the first measurements, latencies are doubtful.
MIN_AGREEMENT = 0.9


def belief(rows: Sequence[Measured], plan: MeasurePlan) -> tuple[str, str]:
    """Return a judgement of the measurements, oldest first, in a few words, and what it rests on."""
    found, agreed = canaries(rows), agreement(repeats(rows))
    problems = _problems(found, plan.max_drift)
    if agreed and agreed.overlapping < MIN_AGREEMENT:
        problems.append(f"only {_agreement(agreed)}")
    if problems:
        words = "The latencies are doubtful"
    elif agreed:
        words, problems = "The latencies can be believed", [_agreement(agreed)]
    else:
        words, problems = "Nothing speaks against the latencies", ["but no file was measured twice"]
    return words, "; ".join([*problems, *_remarks(rows, plan.precision)])


def _problems(found: Sequence[Canary], max_drift: float) -> list[str]:
    """What the last canary of each target found wrong."""
    last = {item.target: item.health.problem(max_drift) for item in found}
    return [f"{target}: {problem}" for target, problem in last.items() if problem]


def _agreement(agreed: Agreement) -> str:
    share = round(agreed.overlapping * agreed.count)
    return (
        f"{share} of {agreed.count} repeats agree with the first measurement (median difference "
        f"{agreed.median_change:.1%})"
    )


def _remarks(rows: Sequence[Measured], precision: float) -> list[str]:
    """What makes intervals wide, but not wrong."""
    num_own = sum(not row.reused for row in rows)
    remarks = []
    if count := len(disturbed(rows)):
        remarks.append(f"{count} of {num_own} measurements were disturbed by other work on the machine")
    if count := len(wide(rows, precision)):
        intervals = "1 interval is" if count == 1 else f"{count} intervals are"
        remarks.append(f"{intervals} wider than the plan asks for")
    return remarks
