"""Select the trials of a study to export or to train."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas.errors import PlanError, StudyError
from nas.strategies.pareto import pareto_front
from trials.analysis.knee import knee
from trials.analysis.listing import check_metrics
from trials.plans.conditions import parse_conditions
from trials.plans.metrics import static_metric_names
from trials.store.read.columns import StudyColumns
from trials.store.read.metric_names import split_name
from trials.store.read.points import Points, points
from trials.store.read.session import Source, find_study, reading
from trials.store.target_metrics import TARGET_METRICS


@dataclass(frozen=True)
class Selection:
    """A rule that selects trials; exactly one of ``trial``, ``best``, ``knee``, ``top`` and ``pareto`` is set."""

    #: The trial with this number, whatever its state.
    trial: int | None = None
    #: The complete trial that is best by ``by``.
    best: bool = False
    #: The knee of the front.
    knee: bool = False
    #: Number of complete trials to select, the best ones by ``by``.
    top: int | None = None
    #: All trials of the front.
    pareto: bool = False
    #: Metric for ``best`` and ``top``; by default the first objective.
    by: str = ""
    #: Conditions that all selected trials keep, such as ``latency_ms<2 and size_bytes<1e6``. The front is that of the
    #: trials that keep them.
    where: str = ""

    @property
    def is_single(self) -> bool:
        """Whether it selects exactly one trial."""
        return self.top is None and not self.pareto

    @property
    def arguments(self) -> list[str]:
        """The options of ``nas export`` and ``nas train`` that say the same."""
        numbers = {"--trial": self.trial, "--top": self.top}
        flags = {"--best": self.best, "--knee": self.knee, "--pareto": self.pareto}
        texts = {"--by": self.by, "--where": self.where}
        return [
            *(f"{name}={value}" for name, value in numbers.items() if value is not None),
            *(name for name, value in flags.items() if value),
            *(f"{name}={value}" for name, value in texts.items() if value),
        ]

    def check(self) -> None:
        """Raise PlanError unless the options fit together and the conditions can be read."""
        given = [self.trial is not None, self.best, self.knee, self.top is not None, self.pareto]
        if given.count(True) != 1:
            names = [text.partition("=")[0] for text in self.arguments if not text.startswith(("--by", "--where"))]
            found = f"; {' and '.join(names)} were given" if names else ""
            raise PlanError(f"say which trials: one of --trial N, --best, --knee, --top N or --pareto{found}")
        if self.by and not (self.best or self.top is not None):
            raise PlanError("--by ranks trials, so it needs --best or --top N")
        if self.where and self.trial is not None:
            raise PlanError("--trial N selects one trial, so --where has no effect; leave one of them out")
        parse_conditions(self.where)

    def shortage(self, found: int) -> str:
        """Say that ``--top`` asked for more trials than the ``found`` ones; empty if it did not."""
        if self.top is None or found >= self.top:
            return ""
        that = f" with {self.where}" if self.where else ""
        return f"{found} of the {self.top} trials of --top: no more complete trials{that} have a value to rank by"


def select(source: Source, name: str, selection: Selection, columns: StudyColumns | None = None) -> list[int]:
    """Return the numbers of the selected trials, the best or fastest first.

    With ``columns`` of an earlier call, only what has changed since then is read.

    Raises:
        PlanError: the options do not fit together, or name an unknown metric.
        StudyError: no complete trial keeps the conditions.
    """
    selection.check()
    conditions = parse_conditions(selection.where)
    with reading(source) as session:
        study = find_study(session, name)
        if selection.trial is not None:
            return [selection.trial]
        objectives = dict(study.objectives)
        by = selection.by or next(iter(objectives))
        check_metrics(session, name, [by, *(condition.metric for condition in conditions)])
        wanted = tuple(dict.fromkeys([*objectives, by, *(condition.metric for condition in conditions)]))
        found = points(session, name, wanted, columns=columns)
    kept = found.take(found.states == "complete")
    for condition in conditions:
        kept = kept.take(condition.holds(kept.on([condition.metric]).values[:, 0]))
    if not len(kept.numbers):
        that = f" with {selection.where}" if conditions else ""
        raise StudyError(f"study {name!r} has no complete trial{that}; nas show {name} lists its trials")
    if selection.pareto or selection.knee:
        front = _front(kept)
        rows = [knee(front.values, front.directions)] if selection.knee else range(len(front.numbers))
        return [int(front.numbers[row]) for row in rows]
    return _ranked(kept, by, _direction(by, objectives))[: selection.top or 1]


def _front(kept: Points) -> Points:
    """The Pareto front of the given trials, sorted by the last objective."""
    own = kept.on(kept.objectives)
    finite = own.take(np.isfinite(own.values).all(axis=1))
    front = finite.take(pareto_front(finite.values, finite.directions))
    return front.take(np.argsort(front.values[:, -1], kind="stable"))


def _ranked(kept: Points, by: str, direction: str) -> list[int]:
    """Numbers of the trials with a value, the best first; among equal ones, those on the study's front first."""
    values = kept.on([by]).values[:, 0]
    has_value = np.isfinite(values)
    kept, values = kept.take(has_value), values[has_value]
    losses = values if direction == "minimize" else -values
    return [int(kept.numbers[row]) for row in np.lexsort((kept.numbers, ~kept.on_front, losses))]


def _direction(by: str, objectives: dict[str, str]) -> str:
    """The direction of a metric to rank by: an objective's own; costs are minimized.

    Raises:
        PlanError: the metric is neither an objective nor a cost.
    """
    if by in objectives:
        return objectives[by]
    if split_name(by)[0] in (*TARGET_METRICS, *static_metric_names()):
        return "minimize"
    raise PlanError(
        f"--by {by}: this metric is neither an objective of the study ({', '.join(objectives)}) nor a cost "
        f"({', '.join([*TARGET_METRICS, *static_metric_names()])}); rank by one of these, and bound the metric with "
        "--where"
    )
