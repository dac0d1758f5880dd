"""Latencies that a strategy predicted before they were measured, beside the measured ones."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from nas.strategies import PREDICTED
from trials.store.models import Candidate, Metric, SuggestionRow
from trials.store.read.metric_names import split_name, target_names
from trials.store.read.session import Source, find_study, reading


@dataclass(frozen=True)
class PredictedLatency:
    """The predicted and the measured latency of a candidate on a target, in milliseconds."""

    number: int
    target: str
    predicted_ms: float
    #: Ends of the interval that contains the measured latency with a probability of 95 %, if the prediction is right.
    low_ms: float
    high_ms: float
    measured_ms: float


def predicted_latencies(source: Source, name: str) -> list[PredictedLatency]:
    """Every latency of a study that was predicted and then measured, in the order of suggestion.

    Raises:
        UnknownNameError: the study does not exist.
    """
    with reading(source) as session:
        study = find_study(session, name)
        first = next(iter(target_names(study)), "")
        query = (
            select(Candidate.number, SuggestionRow.sampler_state[PREDICTED], Metric.target, Metric.value)
            .join(Candidate, Candidate.id == SuggestionRow.candidate_id)
            .join(Metric, Metric.candidate_id == Candidate.id)
            .where(SuggestionRow.study_id == study.id, SuggestionRow.duplicate.is_(False), Metric.name == "latency_ms")
            .order_by(SuggestionRow.number, Metric.target)
        )
        rows = session.execute(query).all()
    found = []
    for number, predicted, target, measured in rows:
        for metric, (value, low, high) in (predicted or {}).items():
            base, named = split_name(metric)
            if base == "latency_ms" and (named or first) == target:
                found.append(PredictedLatency(number, target, value, low, high, measured))
    return found
