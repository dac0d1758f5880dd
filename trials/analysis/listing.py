"""Which trials of a study to list, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.errors import PlanError
from nas.registry import nearest
from trials.analysis.membership import SURE
from trials.plans.conditions import parse_conditions
from trials.plans.metrics import static_metric_names
from trials.store.read.columns import StudyColumns
from trials.store.read.metric_names import metric_names, split_name, target_names
from trials.store.read.remarks import remarks
from trials.store.read.session import Source, find_study, reading
from trials.store.read.studies import STATES
from trials.store.target_metrics import TARGET_METRICS

#: What trials can be sorted by besides metrics; ``on_front`` is the probability to be on the Pareto front.
SORTS = ("number", "on_front", "parameters", "macs")


@dataclass(frozen=True)
class Listing:
    """A selection of trials and their order."""

    #: Conditions on metrics that all listed trials keep, such as ``latency_ms<2 and size_bytes<1e6``.
    where: str = ""
    #: States of the listed trials; empty for all.
    states: tuple[str, ...] = ()
    #: Whether to list only trials that are on the Pareto front with a probability of at least 0.1.
    front: bool = False
    #: A metric or one of ``SORTS``; trials without the value come last.
    sort_by: str = "number"
    descending: bool = False
    #: Only trials with this tag; empty for all.
    tag: str = ""


def listed(
    source: Source,
    name: str,
    listing: Listing,
    shares: Mapping[int, float],
    columns: StudyColumns | None = None,
) -> NDArray[np.int64]:
    """Return the numbers of the listed trials ``(n,)``, in their order.

    Args:
        source: the database.
        name: name of the study.
        listing: what to list.
        shares: number of each complete trial → probability that it is on the front.
        columns: columns of the study that were read before.

    Raises:
        UnknownNameError: the study does not exist.
        PlanError: a condition can't be read, or a metric or state is unknown.
    """
    conditions = parse_conditions(listing.where)
    by = "number" if listing.sort_by == "on_front" else listing.sort_by
    names = list(dict.fromkeys([by, *(condition.metric for condition in conditions)]))
    with reading(source) as session:
        check_metrics(session, name, names)
        numbers, states, cells = (columns or StudyColumns(name)).read(session, names)
    values = {key: column[:, 0] for key, column in zip(names, cells, strict=True)}
    kept = np.isin(states, _known_states(listing.states)) if listing.states else np.ones(len(numbers), dtype=np.bool_)
    for condition in conditions:
        kept &= condition.holds(values[condition.metric])
    chance = np.array([shares.get(number, np.nan) for number in numbers.tolist()])
    if listing.front:
        kept &= chance >= 1 - SURE
    if listing.tag:
        tagged = [number for number, remark in remarks(source, name).items() if listing.tag in remark.tags]
        kept &= np.isin(numbers, tagged)
    key = chance if listing.sort_by == "on_front" else values[by]
    losses = -key if listing.descending else key
    order = np.lexsort((numbers, losses, np.isnan(losses)))
    return numbers[order[kept[order]]]


def check_metrics(source: Source, name: str, metrics: Sequence[str]) -> None:
    """Check that a study can have values of all metrics.

    Raises:
        UnknownNameError: the study does not exist.
        PlanError: one is neither a metric of the study nor a cost; the message suggests the most similar one.
    """
    with reading(source) as session:
        study = find_study(session, name)
        own, targets = metric_names(session, study), target_names(study)
    known = list(dict.fromkeys([*own, "number", *TARGET_METRICS, *static_metric_names()]))
    for metric in metrics:
        base, target = split_name(metric)
        if metric not in known and (base not in TARGET_METRICS or (target and target not in targets)):
            raise PlanError(f"study {name!r} has no metric {metric!r}{nearest(metric, known, _all(known))}")


def _all(known: Sequence[str]) -> str:
    return f"it has: {', '.join(known)}"


def _known_states(states: Sequence[str]) -> list[str]:
    for state in states:
        if state not in STATES:
            raise PlanError(f"no trial is {state!r}{nearest(state, STATES, 'states are ' + ', '.join(STATES))}")
    return list(states)
