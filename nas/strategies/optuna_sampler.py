"""Adapts Optuna's samplers to strategies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from nas.space.chooser import Chooser, FixedVectorChooser, Question, Value
from nas.strategies import Goal, Observation, Suggestion
from nas.strategies.history import KnownNetworks
from nas.strategies.optuna_storage import WindowStorage, running_trial
from nas.strategies.outcomes import Worst
from nas.strategies.seeds import suggestion_seed

T = TypeVar("T")
Space = dict[str, BaseDistribution]
FINAL = ("complete", "infeasible")
#: Samplers learn nothing from a training that waits at a rung, because Optuna can't tell that its values are estimates.
_OPEN = ("running", "paused")


class OptunaChooser(Chooser):
    """Asks a trial for the index of the answer in the list of options.

    The options themselves can't be categories, because Optuna treats ``1`` and ``True`` as equal. Integers for ordered
    questions show a sampler their order, which Gaussian processes need. For TPE, they are worse than categories: with
    about 20 questions of 3 to 5 options, it repeats itself five times as often and finds worse fronts. For NSGA-II
    there is no difference.

    Args:
        trial: the trial.
        integers: whether the index of an ordered question is an integer; all others are categories.
    """

    def __init__(self, trial: optuna.Trial, integers: bool) -> None:
        super().__init__()
        self._trial = trial
        self._integers = integers

    def _answer(self, question: Question) -> Value:
        size = len(question.options)
        place: int
        if self._integers and question.ordered:
            place = self._trial.suggest_int(question.name, 0, size - 1)
        else:
            place = self._trial.suggest_categorical(question.name, range(size))
        return question.options[place]


class SamplerAdapter:
    """Asks an Optuna sampler for suggestions, and shows it a window of a study's history.

    A new sampler is made for every suggestion, with a seed made of the study's seed and the suggestion's number. The
    window depends only on the observations, so a resumed study continues as if it had not been interrupted.

    Args:
        goal: objectives and limits.
        seed: seed of the study.
        sampler: makes a sampler from a seed and the search space that all finished trials have in common.
        recent: smallest number of finished trials in the window, if there are that many; the largest is 1.5 times it.
        pinned: function of the study's attributes and all observations → numbers of older trials that stay in the
            window.
        private: prefixes of trial attributes that are not stored.
        integers: whether the sampler sees the order of ordered questions.
        distinct: whether a random new network takes the place of a known one that the sampler suggests.
    """

    def __init__(
        self,
        goal: Goal,
        seed: int,
        sampler: Callable[[int, Space], BaseSampler],
        *,
        recent: int,
        pinned: Callable[[Mapping[str, Any], Mapping[int, Observation]], Iterable[int]],
        private: tuple[str, ...] = (),
        integers: bool = False,
        distinct: bool = False,
    ) -> None:
        self._goal = goal
        self._seed = seed
        self._sampler = sampler
        self._recent = recent
        self._pinned = pinned
        self._private = private
        self._integers = integers
        self._distinct = distinct
        self._known = KnownNetworks()
        self._storage = WindowStorage()
        self._study = optuna.create_study(
            storage=self._storage, directions=list(goal.objectives.values()), sampler=sampler(0, {})
        )
        self._observations: dict[int, Observation] = {}
        self._worst = Worst(goal)
        self._num_final = 0
        self._level = 0
        self._space: Space | None = None

    # -- propose

    def propose(self, build: Callable[[Chooser], T], number: int) -> tuple[Suggestion, T]:
        """See ``Strategy.propose``."""
        attrs_before = dict(self._storage.study_attrs)
        self._study.sampler = self._sampler(suggestion_seed(self._seed, number), dict(self._space or {}))
        self._storage.next_number = number
        chooser: Chooser = OptunaChooser(self._study.ask(), self._integers)
        try:
            built = build(chooser)
            if self._distinct and (other := self._in_place_of(Suggestion.from_chooser(number, chooser))):
                chooser = FixedVectorChooser(other)
                built = build(chooser)
        except BaseException:
            # The trial would stay unfinished forever.
            del self._storage.trials[number]
            self._storage.study_attrs = attrs_before
            raise
        return Suggestion.from_chooser(number, chooser, self._state(number, attrs_before)), built

    def _in_place_of(self, suggestion: Suggestion) -> Mapping[str, Value] | None:
        """Answers of a random new network if the suggested one is known; None if it is new, or if none was found."""
        if self._known.is_new(suggestion):
            return None
        return self._known.random_new(np.random.default_rng(suggestion_seed(self._seed, suggestion.number)))

    def _state(self, number: int, attrs_before: Mapping[str, Any]) -> dict[str, Any]:
        """Attributes that this suggestion added to its trial, and added to the study or changed there."""
        trial = self._storage.trials[number].system_attrs
        study = self._storage.study_attrs
        found = {
            "trial": {key: value for key, value in trial.items() if not key.startswith(self._private)},
            "study": {key: value for key, value in study.items() if attrs_before.get(key) != value},
        }
        return {key: attrs for key, attrs in found.items() if attrs}

    def exhausted(self, number: int) -> bool:
        """Whether all networks of a small space were proposed."""
        return self._known.is_everything

    # -- observe

    def observe(self, observations: Sequence[Observation]) -> None:
        """See ``Strategy.observe``."""
        for observation in observations:
            self._remember(observation)
        placeholders_changed = self._worst.see(observations)
        level = max(0, self._num_final - self._recent) // max(1, self._recent // 2)
        if level != self._level or len(observations) > self._recent:
            self._level = level
            self._refill()
            return
        for observation in observations:
            self._storage.put(self._trial(observation))
        if placeholders_changed:
            self._refresh_placeholders()

    def _remember(self, observation: Observation) -> None:
        number = observation.suggestion.number
        before = self._observations.get(number)
        self._observations[number] = observation
        if before is None:
            self._storage.study_attrs.update(observation.suggestion.sampler_state.get("study", {}))
            self._known.add(observation.suggestion)
        if observation.state in FINAL and (before is None or before.state not in FINAL):
            self._num_final += 1
            own = self._distributions(observation.suggestion.questions)
            known = own if self._space is None else self._space
            self._space = {name: own[name] for name in known if own.get(name) is known[name]}

    def _refill(self) -> None:
        """Choose a new window; this is rare, because half of the window changes each time."""
        ordered = sorted(self._observations)
        final = [number for number in ordered if self._observations[number].state in FINAL]
        num_old = self._level * max(1, self._recent // 2)
        first = final[num_old] if num_old < len(final) else 0
        kept = {number for number in ordered if number >= first}
        kept |= {number for number in ordered if self._observations[number].state in _OPEN}
        kept |= set(self._pinned(self._storage.study_attrs, self._observations)) & set(final)
        self._storage.trials = {number: self._trial(self._observations[number]) for number in ordered if number in kept}

    def _refresh_placeholders(self) -> None:
        for number in self._storage.trials:
            observation = self._observations.get(number)
            if observation is not None and observation.state == "infeasible":
                self._storage.put(self._trial(observation))

    def _trial(self, observation: Observation) -> FrozenTrial:
        suggestion = observation.suggestion
        distributions = self._distributions(suggestion.questions)
        params = {
            question.name: question.options.index(suggestion.answers[question.name])
            for question in suggestion.questions
        }
        attrs = dict(suggestion.sampler_state.get("trial", {}))
        trial = running_trial(suggestion.number, params, distributions, attrs)
        if observation.state in _OPEN:
            return trial
        outcome = self._worst.outcome(observation)
        trial.state = TrialState.FAIL if outcome.values is None else TrialState.COMPLETE
        trial.values = outcome.values
        trial.datetime_complete = datetime.now()
        for name, violation in outcome.constraints.items():
            trial.set_constraint(name, violation)
        return trial

    def _distributions(self, questions: Iterable[Question]) -> Space:
        return {item.name: _places(len(item.options), self._integers and item.ordered) for item in questions}


@cache
def _places(count: int, is_integer: bool) -> BaseDistribution:
    """The distribution of an index, cached so that equal distributions are the same object."""
    return IntDistribution(0, count - 1) if is_integer else CategoricalDistribution(range(count))
