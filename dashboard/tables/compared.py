"""Tables with one column per trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dashboard.tables.candidate import shape
from nas.foreign import line
from trials.analysis.pairs import probability_better
from trials.reporting.labels import interval, title
from trials.reporting.study import StudyView
from trials.store.read.candidate import CandidateDetail
from trials.store.read.candidates import CandidateRow


def probabilities(rows: Sequence[CandidateRow], metric: str, direction: str) -> pd.DataFrame:
    """Return for each pair of trials the probability that the trial of the row is better than that of the column."""
    values = {row.number: row.value(metric) for row in rows}
    return pd.DataFrame(
        [
            {"better than": f"trial {one}"}
            | {
                f"trial {other}": None
                if one == other or first is None or second is None
                else probability_better(first, second, direction)
                for other, second in values.items()
            }
            for one, first in values.items()
        ]
    )


def metrics_side_by_side(study: StudyView, details: Sequence[CandidateDetail]) -> pd.DataFrame:
    """Return one row per metric: values with their intervals, and the probability to be on the front."""
    names = list(dict.fromkeys([*study.shown_metrics, "parameters", "macs"]))
    found = {
        title(name): [_cell(name, detail.row) for detail in details]
        for name in names
        if any(detail.row.value(name) for detail in details)
    }
    shares = [study.shares.get(detail.row.number) for detail in details]
    found["On the front, probability"] = ["" if share is None else f"{share:.2f}" for share in shares]
    found["State"] = [detail.row.state for detail in details]
    return _table("Metric", found, details)


def differing_choices(details: Sequence[CandidateDetail], *, everything: bool) -> pd.DataFrame:
    """Return one row per choice in which the trials differ, or per choice; a choice without effect has no answer."""
    names = dict.fromkeys(name for detail in details for name in detail.row.choices)
    answers = {line(name): [_answer(detail.row.choices, name) for detail in details] for name in names}
    return _table("Choice", {name: own for name, own in answers.items() if everything or len(set(own)) > 1}, details)


def layers_side_by_side(details: Sequence[CandidateDetail]) -> pd.DataFrame:
    """Return one row per layer name: op, output shape and bits in each trial."""
    layers = [{str(layer.get("name")): layer for layer in detail.layers} for detail in details]
    names = dict.fromkeys(name for own in layers for name in own)
    return _table("Layer", {line(name): [_layer(own.get(name)) for own in layers] for name in names}, details)


def _table(head: str, rows: Mapping[str, Sequence[Any]], details: Sequence[CandidateDetail]) -> pd.DataFrame:
    heads = [f"Trial {detail.row.number}" for detail in details]
    return pd.DataFrame([{head: name} | dict(zip(heads, own, strict=True)) for name, own in rows.items()])


def _cell(name: str, row: CandidateRow) -> str:
    value = row.value(name)
    return interval(name, value.value, value.low, value.high) if value else ""


def _answer(choices: Mapping[str, Any], name: str) -> str:
    return line(str(choices[name])) if name in choices else ""


def _layer(layer: Mapping[str, Any] | None) -> str:
    if layer is None:
        return ""
    return line(f"{layer.get('op')} → {shape(layer.get('output_shape'))}, {layer.get('bits')} bits")
