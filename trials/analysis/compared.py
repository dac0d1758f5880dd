"""Select the candidates of a study that are compared with companions."""

from __future__ import annotations

import numpy as np

from trials.store.read.points import points
from trials.store.read.session import Source, find_study, reading

#: Default number of compared networks: the best by the first objective, and three more of the front.
NUM_COMPARED = 4


def compared(source: Source, name: str, max_networks: int, *, only_sparse: bool = False) -> list[int]:
    """Return the numbers of candidates to compare: the best by the first objective, then others spread over the front.

    Only candidates that a policy changed, or with ``only_sparse`` made sparse, are selected. If the front has none,
    they are selected from all complete candidates.
    """
    wanted = "density" if only_sparse else "dense_latency_ms"
    with reading(source) as session:
        study = find_study(session, name)
        if not study.plan.get("policies"):
            return []
        found = points(session, name, [*study.objectives, wanted])
    kept = found.values[:, -1] < (1.0 if only_sparse else np.inf)  # a missing value is NaN and compares as false
    kept &= found.states == "complete"
    found = found.take(kept & found.on_front if (kept & found.on_front).any() else kept)
    if not len(found.numbers):
        return []
    gain = found.values[:, 0] * (1 if found.directions[0] == "maximize" else -1)
    order = [int(number) for number in found.numbers[np.argsort(-gain, kind="stable")]]
    spread = np.linspace(0, len(order) - 1, min(max_networks, len(order))).round().astype(int)
    return [order[place] for place in spread]
