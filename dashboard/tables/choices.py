"""Tables about the choices of a space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nas.foreign import line
from trials.analysis.choices import ChoiceResults, Effect
from trials.reporting.labels import interval, label, title

if TYPE_CHECKING:
    from trials.analysis.what_if import Forests


def effects_table(found: Sequence[Effect], metrics: Sequence[str]) -> pd.DataFrame:
    """Return one row per answer: number of trials, means with intervals, share of all trials and of the front."""
    return pd.DataFrame(
        [
            {
                "Answer": line(effect.answer),
                "Trials": effect.count,
                **{title(metric): interval(metric, *mean) for metric, mean in zip(metrics, effect.means, strict=True)},
                "Of all trials": 100 * effect.share,
                "Of the front": 100 * effect.front_share,
            }
            for effect in found
        ]
    )


def predicted_table(results: ChoiceResults, forests: Forests, row: int, choice: str, code: int) -> pd.DataFrame:
    """Return one row per objective: the recorded value of a trial, and predictions without and with a changed answer.

    Args:
        results: choices and objectives of the trials.
        forests: what predicts.
        row: row of the trial in ``results``.
        choice: the choice that changes.
        code: code of the new answer.
    """
    own = results.codes[row]
    changed = np.where(np.array(results.names) == choice, code, own)
    before, after = forests.predict(np.stack([own, changed]))
    return pd.DataFrame(
        [
            {
                "Objective": label(metric),
                "Recorded": float(results.values[row, place]),
                "Predicted as it is": float(before[place, 0]),
                "Predicted if changed": float(after[place, 0]),
                "Spread": float(after[place, 1]),
                "Change": float(after[place, 0] - before[place, 0]),
                "Rank correlation": forests.spearman[place],
            }
            for place, metric in enumerate(results.metrics)
        ]
    )
