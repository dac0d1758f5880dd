"""Transfer: latencies of a study's networks on other targets, from earlier studies of the same search space."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property

from nas.strategies import OTHER_TARGET, Suggestion
from nas.strategies.pareto_bo.latency_predictor import LatencyPredictor, MeasuredNetwork
from trials.coordinator.assignment import Assignment
from trials.store.read.other_targets import OtherTargetLatency, latencies_on_other_targets
from trials.store.store import Reading

#: Smallest number of networks measured on a target, largest number of targets, and of the newest networks of each.
FEWEST, MAX_TARGETS, NEWEST = 10, 4, 300


class OtherTargets:
    """Latencies on other targets: measured in earlier studies, or predicted from those measured there.

    The database is read when the first network is looked up. Without ``measure.cache``, nothing of it is used.
    """

    def __init__(self, store: Reading, assignment: Assignment) -> None:
        self._store, self._assignment = store, assignment

    def features(self, suggestion: Suggestion, features: Mapping[str, float]) -> dict[str, float]:
        """Return the latencies of a network on other targets in ms, as features for the strategy.

        Args:
            suggestion: the network's questions and answers.
            features: its other features.
        """
        return {f"{OTHER_TARGET}{target.name}": target.latency_ms(suggestion, features) for target in self._targets}

    @cached_property
    def _targets(self) -> Sequence[_Target]:
        plan = self._assignment.problem.plan
        if not plan.measure.cache:
            return ()
        own = {target.name for target in plan.targets}
        study_id = self._assignment.lease.study_id
        by_target: dict[str, list[OtherTargetLatency]] = defaultdict(list)
        for row in self._store.read(latencies_on_other_targets, study_id, plan.to_json(), own):
            by_target[row.target].append(row)
        most = sorted(by_target, key=lambda name: len(by_target[name]), reverse=True)[:MAX_TARGETS]
        return [_Target(name, by_target[name][-NEWEST:]) for name in most if len(by_target[name]) >= FEWEST]


class _Target:
    """Another target: the latencies measured there, and a predictor for the networks that were not."""

    def __init__(self, name: str, measured: Sequence[OtherTargetLatency]) -> None:
        self.name = name
        self._measured = measured
        self._known = {_key(item.suggestion): item.latency_ms for item in measured}

    def latency_ms(self, suggestion: Suggestion, features: Mapping[str, float]) -> float:
        """The measured latency of a network, or else the predicted one."""
        known = self._known.get(_key(suggestion))
        return float(self._predictor.predict([suggestion], [features])[0, 0]) if known is None else known

    @cached_property
    def _predictor(self) -> LatencyPredictor:
        return LatencyPredictor([MeasuredNetwork(item.suggestion, item.latency_ms) for item in self._measured])


def _key(suggestion: Suggestion) -> tuple[str, ...]:
    """The answers that have an effect; equal for two suggestions of one network."""
    return tuple(f"{item.name}={suggestion.answers[item.name]!r}" for item in suggestion.questions if item.active)
