"""Strategies made of Optuna's samplers, which a plan names as in ``optuna:GPSampler``."""

from __future__ import annotations

import functools
import inspect
import operator
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseGASampler, BaseSampler, BruteForceSampler, QMCSampler, RandomSampler

from nas.errors import PlanError, UnknownNameError
from nas.registry import nearest
from nas.scalars import misfit_of
from nas.strategies import Goal, Observation, Strategy, Suggestion
from nas.strategies.nsga2 import in_a_generation
from nas.strategies.optuna_sampler import SamplerAdapter, Space

if TYPE_CHECKING:
    from nas.space import Chooser

T = TypeVar("T")
#: Sampler that can't be a strategy → why.
_REFUSED = {
    "AutoSampler": "comes from OptunaHub, whose package downloads code and runs it",
    "CmaEsSampler": "stores its state as pickled objects, which are not safe to load, and supports one objective only",
}
_KINDS: Mapping[str, Any] = {"int": int, "float": float, "str": str, "bool": bool, "None": type(None)}


@functools.cache
def optuna_strategy(name: str) -> type[Strategy]:
    """Proposes what a sampler of Optuna proposes.

    The name of the sampler follows the colon: `BruteForceSampler`, `GPSampler`, `NSGAIISampler`, `NSGAIIISampler`,
    `QMCSampler`, `RandomSampler` or `TPESampler`. The plan may give all parameters of the sampler that are numbers,
    text or booleans, except for the seed, as in `{name: "optuna:GPSampler", deterministic_objective: true}`.

    Ordered choices are integers for the sampler, all others are categories. The sampler sees all candidates, so that a
    proposal takes longer the longer the study is. If it suggests a network again, a random new one takes its place.

    Raises:
        UnknownNameError: Optuna has no such sampler, or it can't be a strategy.
    """
    known = sampler_names()
    if name not in known:
        listed = ", ".join(f"optuna:{item}" for item in known)
        if name in _REFUSED:
            raise UnknownNameError(f"strategy 'optuna:{name}': {name} {_REFUSED[name]}; choose one of {listed}")
        hint = nearest(name, known, f"known: {listed}")
        raise UnknownNameError(f"strategy 'optuna:{name}': Optuna has no sampler {name!r} that can be a strategy{hint}")
    sampler = getattr(optuna.samplers, name)
    avoids_limits = not issubclass(sampler, BruteForceSampler | QMCSampler | RandomSampler)
    fixed = list(inspect.signature(OptunaStrategy).parameters.values())[:2]
    given = [item for item in inspect.signature(sampler).parameters.values() if item.name in _plain_parameters(sampler)]
    attributes = {
        "__doc__": f"Proposes what Optuna's {name} proposes; see ``optuna_strategy``.",
        "__signature__": inspect.Signature([*fixed, *(item.replace(kind=item.KEYWORD_ONLY) for item in given)]),
        "sampler": sampler,
        "learns": avoids_limits,
    }
    return type(name, (OptunaStrategy,), attributes)


def sampler_names() -> list[str]:
    """Names of Optuna's samplers that can be strategies: those that need nothing but plain parameters."""
    found = {name: getattr(optuna.samplers, name) for name in optuna.samplers.__all__ if name not in _REFUSED}
    return sorted(
        name
        for name, item in found.items()
        if isinstance(item, type)
        and issubclass(item, BaseSampler)
        and not inspect.isabstract(item)
        and all(parameter.default is not parameter.empty for parameter in _parameters(item).values())
    )


class OptunaStrategy(Strategy):
    """The strategy of one sampler; ``optuna_strategy`` makes its subclasses.

    Args:
        goal: objectives and limits.
        seed: seed of the study.
        parameters: parameters of the sampler.

    Raises:
        PlanError: the sampler does not take a parameter or its value.
    """

    sampler: ClassVar[type[BaseSampler]]

    def __init__(self, goal: Goal, seed: int, **parameters: Any) -> None:
        super().__init__(goal, seed)
        name, known = f"optuna:{self.sampler.__name__}", _plain_parameters(self.sampler)
        for key, value in parameters.items():
            if key not in known:
                hint = nearest(key, known, f"it takes: {', '.join(known) or 'none'}")
                raise PlanError(f"strategy {name}: no parameter {key!r}{hint}")
            if wanted := misfit_of(known[key], value):
                raise PlanError(f"strategy {name}: {key}={value!r}; it takes {wanted}")
        self._parameters = parameters
        try:
            self._adapter = SamplerAdapter(
                goal,
                seed,
                self._make,
                recent=sys.maxsize,
                pinned=lambda attrs, observations: (),
                private=("tpe:relative_params",),
                integers=True,
                distinct=True,
            )
        except ValueError as error:
            raise PlanError(f"strategy {name}: {error}") from error

    def propose(self, build: Callable[[Chooser], T], number: int) -> tuple[Suggestion, T]:
        """See ``Strategy.propose``."""
        return self._adapter.propose(build, number)

    def exhausted(self, number: int) -> bool:
        """See ``Strategy.exhausted``; all networks of a small space were proposed."""
        return self._adapter.exhausted(number)

    def observe(self, observations: Sequence[Observation]) -> None:
        """See ``Strategy.observe``."""
        is_genetic = issubclass(self.sampler, BaseGASampler)
        self._adapter.observe([in_a_generation(item) for item in observations] if is_genetic else observations)

    def _make(self, seed: int, space: Space) -> BaseSampler:
        settings: dict[str, Any] = {"seed": seed}
        if issubclass(self.sampler, QMCSampler):  # one sequence for the whole study
            settings = {"seed": self.seed, "independent_sampler": RandomSampler(seed)}
        quiet = {name: False for name, item in _parameters(self.sampler).items() if _warns(item)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return self.sampler(**settings, **quiet, **self._parameters)


def _parameters(sampler: type[BaseSampler]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(sampler).parameters


def _warns(parameter: inspect.Parameter) -> bool:
    return parameter.name.startswith("warn_") and parameter.default is True


def _plain_parameters(sampler: type[BaseSampler]) -> dict[str, Any]:
    """Parameters that a plan may give → their annotations, which consist of numbers, text and booleans."""
    found = {}
    for name, item in _parameters(sampler).items():
        kinds = [_KINDS.get(part) for part in str(item.annotation).split(" | ")]
        if name != "seed" and not name.startswith("warn_") and None not in kinds:
            found[name] = functools.reduce(operator.or_, kinds)
    return found
