"""Runs of strategies on problems, spread over processes."""

from __future__ import annotations

import itertools
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import yaml

from nas.strategies import STRATEGIES, EarlierStudy, Observation, Strategy, Suggestion
from search_parts import other_libraries
from search_parts.problems import GOAL, Evaluated, Problem, Synthetic, Table

#: Largest number of suggestions for each network to train, because strategies may repeat networks.
MAX_SUGGESTIONS = 20
#: How many networks are trained before several are measured for each trained one.
STARTUP = 10
#: Added to the seed of a run to get the seed of the earlier study that it starts from.
OTHER_SEED = 1000


@dataclass(frozen=True)
class Run:
    """One strategy on one problem with one seed: scores after each trained network, and seconds of each suggestion."""

    strategy: str
    problem: str
    seed: int
    shares: list[float]
    suggestion_s: list[float]
    results: list[Observation]


def runs(arguments: Namespace) -> Iterator[Run]:
    """Yield a run per strategy, problem and seed; with ``--warm-from``, also runs that start from earlier studies.

    Each seed of a strategy is one job for a process. Every run depends on its seed only, so the number of processes
    changes nothing but the time.
    """
    jobs = itertools.product(range(arguments.seeds), arguments.strategies)
    with ProcessPoolExecutor(arguments.processes, initializer=_prepare, initargs=(arguments,)) as pool:
        for found in pool.map(_job, jobs):
            yield from found


def problems(arguments: Namespace) -> Iterator[Problem]:
    """The problems that the options select."""
    for device in arguments.devices if arguments.table else ():
        others = [name for name in arguments.devices if name != device] if arguments.other_targets else []
        yield Table(arguments.table, device, arguments.accuracy, arguments.floor, others, arguments.noise_table)
    for seed in range(3) if arguments.synthetic else ():
        yield Synthetic(seed)


def run(strategy: str, problem: Problem, seed: int, num_trained: int, source: EarlierStudy | None = None) -> Run:
    """Search until ``num_trained`` different networks are evaluated."""
    searcher, measured_per_trained = _made(strategy, seed)
    if source:
        searcher.start_from([source])
    luck = np.random.default_rng(seed)
    trained: dict[str, Evaluated] = {}
    told: dict[str, float] = {}
    measured: dict[int, tuple[Suggestion, Evaluated]] = {}
    shares, times, results, number = [], [], [], 0
    while len(shares) < num_trained and number < MAX_SUGGESTIONS * num_trained * measured_per_trained:
        started = time.process_time()
        suggestion, found = searcher.propose(problem.build, number)
        times.append(time.process_time() - started)
        number += 1
        if measured_per_trained > 1:
            searcher.observe([Observation(suggestion, "measured_only", {"latency_ms": found.latency_ms})])
            measured[suggestion.number] = suggestion, found
            if number > STARTUP and (number - STARTUP) % measured_per_trained:
                continue
            started = time.process_time()
            suggestion, found = measured.pop(searcher.choose(list(measured), number))
            times.append(time.process_time() - started)
        if found.key not in trained:
            trained[found.key] = found
            told[found.key] = problem.trained(found, luck)
            shares.append(problem.share(list(trained.values())))
        values = {"accuracy": told[found.key], "latency_ms": found.latency_ms}
        results.append(Observation(suggestion, "complete", values))
        searcher.observe(results[-1:])
    return Run(f"{strategy} {source.name}" if source else strategy, problem.name, seed, shares, times, results)


def _made(strategy: str, seed: int) -> tuple[Strategy, int]:
    """A strategy by its name and parameters, and how many networks are measured for each trained one."""
    name, *settings = strategy.split(",")
    parameters = {key: yaml.safe_load(value) for key, _, value in (item.partition("=") for item in settings)}
    measured_per_trained = parameters.pop("measured", 1)
    return STRATEGIES.get(other_libraries.NAMES.get(name, name))(GOAL, seed, **parameters), measured_per_trained


def _sources(strategy: str, problem: Problem, seed: int, arguments: Namespace) -> Iterator[EarlierStudy]:
    """Yield the results of the same strategy on another problem as earlier studies, with true and wrong accuracies."""
    results = run(strategy, problem, seed + OTHER_SEED, arguments.warm_trained).results
    accuracies = np.array([item.values["accuracy"] for item in results])
    told = {
        "warm": accuracies,
        "negated": 100 - accuracies,
        "shuffled": np.random.default_rng(seed).permutation(accuracies),
    }
    for name in arguments.sources:
        wrong = zip(results, told[name], strict=True)
        yield EarlierStudy(
            name, tuple(replace(item, values={**item.values, "accuracy": float(value)}) for item, value in wrong)
        )


# -- in each process

_ARGUMENTS: list[Namespace] = []
_PROBLEMS: list[Problem] = []
_EARLIER: list[Problem] = []


def _prepare(arguments: Namespace) -> None:
    _ARGUMENTS.append(arguments)
    _PROBLEMS.extend(problems(arguments))
    if arguments.warm_from:
        _EARLIER.append(Table(arguments.table, arguments.warm_from, arguments.warm_accuracy, arguments.floor))


def _job(job: tuple[int, str]) -> Sequence[Run]:
    (seed, strategy), (arguments,) = job, _ARGUMENTS
    known = [source for earlier in _EARLIER for source in _sources(strategy, earlier, seed, arguments)]
    return [
        run(strategy, problem, seed, max(arguments.marks), source)
        for problem, source in itertools.product(_PROBLEMS, [None, *known])
    ]
