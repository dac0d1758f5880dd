"""How many training workers each study of a cluster may have: a fair share, weighted by priority."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from trials.store.records import Demand

#: A node may lack this much of a resource, because differences of decimal fractions are not exact.
ROUNDING = 1e-6


def shares(nodes: Sequence[Mapping[str, float]], demands: Mapping[str, Demand]) -> dict[str, int]:
    """Return the number of training workers of each study.

    Every study has one worker. Each further worker goes to the study that has least for its priority and can use one
    more, so that what one study can't use goes to the others. What a study has is its largest share of a resource of
    the cluster. If two studies have equally little, the worker goes to the first of them.

    Args:
        nodes: resources of each node of the cluster, in use or not.
        demands: study → what it could use.
    """
    # Nodes with GPUs come last, because trainings that need none should leave them to those that do.
    free = sorted((Counter(dict(node)) for node in nodes), key=lambda node: node["GPU"])
    total: Counter[str] = sum(free, Counter())
    for demand in demands.values():
        for needs in demand.measuring:
            _take(free, needs)
    for demand in demands.values():
        _take(free, demand.each)
    given = dict.fromkeys(demands, 1)
    growing = list(demands)
    while growing:
        study = min(growing, key=lambda study: given[study] * _part(demands[study], total))
        if given[study] < demands[study].trainings and _take(free, demands[study].each):
            given[study] += 1
        else:
            growing.remove(study)
    return given


def _part(demand: Demand, total: Mapping[str, float]) -> float:
    """Return which part of the cluster one worker takes, divided by the study's priority."""
    parts = [amount / total[name] for name, amount in demand.each.items() if total[name]]
    return max(parts, default=0.0) / demand.priority


def _take(free: Sequence[Counter[str]], needs: Mapping[str, float]) -> bool:
    """Take a worker's resources from the first node that has them; return False if none has."""
    for node in free:
        if all(node[name] >= amount - ROUNDING for name, amount in needs.items()):
            node.subtract(needs)
            return True
    return False
