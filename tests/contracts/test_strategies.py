"""The contract of every registered strategy on a toy study: repeatable, resumable, learns limits, answers every
question.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from nas.errors import PlanError
from nas.space.chooser import Chooser, RandomChooser, ReplayChooser
from nas.strategies import STRATEGIES, Goal, Limit, Observation, Strategy, Suggestion
from nas.strategies.optuna_strategy import sampler_names

OPTUNA = [f"optuna:{sampler}" for sampler in sampler_names()]
NAMES = [*STRATEGIES.names(), *OPTUNA]
#: Takes most of a second for a proposal, so it runs fewer steps: the first ones are random.
SLOW, RANDOM_STEPS, FEW_STEPS = "optuna:GPSampler", 25, 27
#: The names as parameters of tests.
EVERY = [name if name in STRATEGIES.names() else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
LEARNING = [name for name in STRATEGIES.names() if STRATEGIES.get(name).learns]
#: Strategies that propose no network twice, and strategies that report when all of a small space was proposed.
DISTINCT = ["given", "parego", "pareto_bo", "pareto_local_search", "regularized_evolution", *OPTUNA]
ENDING = [*DISTINCT, "nsga2", "tpe"]
GOAL = Goal({"accuracy": "maximize", "cost": "minimize"}, {"cost": Limit(max=60.0)})
Make = Callable[[int], Strategy]


def toy(chooser: Chooser) -> tuple[float, float]:
    """Accuracy and cost of a network of three stages: 17 questions; a fifth of random answers cost at most 60."""
    mode = chooser.choose("mode", ("early", "stride", "pool"), ordered=True)
    chooser.choose("only", ("option",))
    accuracy, cost = {"early": 0.5, "stride": 0.8, "pool": 1.0}[str(mode)], 0.0
    for stage in range(3):
        depth = int(chooser.choose(f"stage{stage}.depth", (1, 2), ordered=True))  # type: ignore[arg-type]
        for slot in range(2):
            active = slot < depth
            name = f"stage{stage}.conv{slot}"
            width = int(chooser.choose(f"{name}.width", (8, 16, 24, 32, 48), ordered=True, active=active))  # type: ignore[arg-type]
            kernel = int(chooser.choose(f"{name}.kernel", (1, 3, 5, 7), ordered=True, active=active))  # type: ignore[arg-type]
            if active:
                accuracy += width**0.3 - 0.2 * abs(kernel - 3)
                cost += width * kernel**2 / 10 / (stage + 1)
    return accuracy, cost


def finished(suggestion: Suggestion, result: tuple[float, float]) -> Observation:
    """The observation as the database returns it: over the limit, accuracy is not measured."""
    accuracy, cost = result
    violation = GOAL.limits["cost"].violation(cost)
    if violation > 0:
        return Observation(stored(suggestion), "infeasible", {"cost": cost}, {"cost": violation})
    return Observation(stored(suggestion), "complete", {"accuracy": accuracy, "cost": cost}, {"cost": violation})


def stored(suggestion: Suggestion) -> Suggestion:
    """The observation through JSON, as the database stores it."""
    answers, state = json.loads(json.dumps([dict(suggestion.answers), dict(suggestion.sampler_state)]))
    return Suggestion(suggestion.number, suggestion.questions, answers, state)


@dataclass
class Study:
    """A toy study with up to ``concurrency`` open candidates, which finish in any order; some fail."""

    strategy: Strategy
    concurrency: int = 1
    failing: float = 0.0
    history: dict[int, Observation] = field(default_factory=dict)
    running: list[tuple[Suggestion, tuple[float, float]]] = field(default_factory=list)
    luck: random.Random = field(default_factory=lambda: random.Random(5))

    def step(self) -> Suggestion:
        suggestion, result = self.strategy.propose(toy, len(self.history))
        self._tell(Observation(stored(suggestion), "running"))
        self.running.append((suggestion, result))
        if len(self.running) >= self.concurrency:
            done, result = self.running.pop(self.luck.randrange(len(self.running)))
            failed = Observation(stored(done), "failed")
            self._tell(failed if self.luck.random() < self.failing else finished(done, result))
        return suggestion

    def run(self, steps: int) -> list[Suggestion]:
        return [self.step() for _ in range(steps)]

    def observations(self) -> list[Observation]:
        return [self.history[number] for number in sorted(self.history)]

    def _tell(self, observation: Observation) -> None:
        self.history[observation.suggestion.number] = observation
        self.strategy.observe([observation])


# -- what is asked of every strategy


def check_repeatable(make: Make, steps: int) -> None:
    first, second = Study(make(3)).run(steps), Study(make(3)).run(steps)
    assert first == second
    assert Study(make(4)).run(steps) != first


def check_resumed_is_uninterrupted(make: Make, steps: int, every: int) -> None:
    study = Study(make(3), concurrency=4, failing=0.1)
    for number in range(steps):
        resumed = make(3)
        if number % every == 0:
            resumed.observe(study.observations())
            expected, _ = resumed.propose(toy, number)
            assert study.step() == expected, f"suggestion {number} differs after a rebuild"
        else:
            study.step()


def check_no_copies_after_resume(make: Make, steps: int) -> None:
    study = Study(make(3))
    before = study.run(steps // 2)
    resumed = make(3)
    resumed.observe(study.observations())
    after = Study(resumed, history=study.history).run(steps // 2)
    assert [suggestion.number for suggestion in after] == list(range(steps // 2, steps // 2 * 2))
    vectors = [json.dumps(dict(suggestion.answers)) for suggestion in before]
    copies = sum(json.dumps(dict(suggestion.answers)) in vectors for suggestion in after)
    # A strategy may propose a good network again; a sequence that starts again repeats all of them.
    assert copies <= 5


def check_fixed_vector(make: Make, steps: int) -> None:
    reference = RandomChooser(0)
    toy(reference)
    for suggestion in Study(make(3)).run(steps):
        assert [question.name for question in suggestion.questions] == list(reference.questions)
        assert set(suggestion.answers) == set(reference.questions)
        for question in suggestion.questions:
            assert suggestion.answers[question.name] in question.options
            assert question.options == reference.questions[question.name].options
        assert json.loads(json.dumps(dict(suggestion.sampler_state))) == dict(suggestion.sampler_state)


def check_no_network_twice(make: Make, steps: int) -> None:
    study = Study(make(3), concurrency=4, failing=0.2)
    networks = []
    for number in range(steps):
        if number == steps // 2:  # as after a restart
            study.strategy = make(3)
            study.strategy.observe(study.observations())
        suggestion = study.step()
        active = {
            question.name: suggestion.answers[question.name] for question in suggestion.questions if question.active
        }
        networks.append(json.dumps(active, sort_keys=True))
    assert len(set(networks)) == len(networks)


def infeasible_shares(strategy: Strategy, steps: int = 150) -> tuple[float, float]:
    """Shares of infeasible networks in the first and in the last third."""
    study = Study(strategy)
    study.run(steps)
    states = [observation.state == "infeasible" for observation in study.observations()]
    third = steps // 3
    return sum(states[:third]) / third, sum(states[-third:]) / third


def listed(seed: int) -> list[dict[str, object]]:
    """Choices of 120 networks."""
    found = []
    for number in range(120):
        chooser = RandomChooser(1000 * seed + number)
        toy(chooser)
        found.append(dict(chooser.active_answers))
    return found


def named(name: str, goal: Goal = GOAL) -> Make:
    if name == "given":
        return lambda seed: STRATEGIES.get(name)(goal, seed, choices=listed(seed))  # type: ignore[call-arg]
    if name == SLOW:
        return lambda seed: STRATEGIES.get(name)(goal, seed, n_startup_trials=RANDOM_STEPS)  # type: ignore[call-arg]
    return lambda seed: STRATEGIES.get(name)(goal, seed)


def at_most(name: str, steps: int) -> int:
    return min(steps, FEW_STEPS) if name == SLOW else steps


@pytest.mark.parametrize("name", EVERY)
def test_equal_seeds_give_equal_proposals(name: str) -> None:
    check_repeatable(named(name), at_most(name, 30))


@pytest.mark.parametrize("name", EVERY)
def test_a_resumed_study_goes_on_as_if_not_interrupted(name: str) -> None:
    check_resumed_is_uninterrupted(named(name), steps=at_most(name, 90), every=5)


def test_a_resumed_study_goes_on_through_many_windows() -> None:
    check_resumed_is_uninterrupted(named("nsga2"), steps=320, every=39)
    small = lambda seed: STRATEGIES.get("tpe")(GOAL, seed, history=20)  # type: ignore[call-arg]  # noqa: E731
    check_resumed_is_uninterrupted(small, steps=70, every=11)


@pytest.mark.parametrize("name", STRATEGIES.names())
def test_measured_candidates_are_chosen_from_and_after_a_resume_equally(name: str) -> None:
    """Three candidates are measured for each training; those passed over may be chosen later."""
    strategy, history, results = named(name)(3), dict[int, Observation](), dict[int, tuple[float, float]]()
    late = 0

    def tell(observation: Observation) -> None:
        history[observation.suggestion.number] = observation
        strategy.observe([observation])

    for number in range(60):
        suggestion, results[number] = strategy.propose(toy, number)
        _, cost = results[number]
        violation = GOAL.limits["cost"].violation(cost)
        state = "infeasible" if violation > 0 else "measured_only"
        tell(Observation(stored(suggestion), state, {"cost": cost}, {"cost": violation}))  # type: ignore[arg-type]
        waiting = [key for key, item in history.items() if item.state == "measured_only"]
        if number % 3 == 2 and waiting:
            chosen = strategy.choose(waiting, number + 1)
            assert chosen in waiting
            resumed = named(name)(3)
            resumed.observe([history[key] for key in sorted(history)])
            assert resumed.choose(waiting, number + 1) == chosen
            late += chosen < number - 2
            tell(finished(history[chosen].suggestion, results[chosen]))
    assert sum(item.state == "complete" for item in history.values()) >= 10
    assert late, "one that was passed over was never chosen"


@pytest.mark.parametrize("name", EVERY)
def test_trainings_that_wait_at_a_rung_are_told_again_and_after_a_resume_equally(name: str) -> None:
    """Every third training is finished at once; each finished one changes what is expected of the others."""
    strategy, history = named(name)(3), dict[int, Observation]()
    results: dict[int, tuple[float, float]] = {}

    def tell(observation: Observation) -> None:
        history[observation.suggestion.number] = observation
        strategy.observe([observation])

    for number in range(at_most(name, 45)):
        if number % 11 == 10:
            resumed = named(name)(3)
            resumed.observe([history[key] for key in sorted(history)])
            expected, _ = resumed.propose(toy, number)
        suggestion, results[number] = strategy.propose(toy, number)
        if number % 11 == 10:
            assert suggestion == expected
        tell(Observation(stored(suggestion), "running"))
        is_early = sum(item.state == "complete" for item in history.values()) < 2
        for key, item in history.items():
            if item.state in ("running", "paused") and key % 3:
                accuracy, cost = results[key]
                values = {"cost": cost} if is_early else {"accuracy": accuracy - 1 / number, "cost": cost}
                tell(Observation(item.suggestion, "paused", values, spreads={"accuracy": 0.1}))
        if number % 3 == 0:
            tell(finished(history[number].suggestion, results[number]))


@pytest.mark.parametrize("name", EVERY)
def test_suggestions_after_resume_are_no_copies(name: str) -> None:
    check_no_copies_after_resume(named(name), at_most(name, 50))


@pytest.mark.parametrize("name", EVERY)
def test_every_question_is_answered_whether_active_or_not(name: str) -> None:
    check_fixed_vector(named(name), at_most(name, 40))


@pytest.mark.parametrize("name", LEARNING)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_tight_limit_is_learned(name: str, seed: int) -> None:
    first, last = infeasible_shares(named(name)(seed))
    assert first > 0.2
    assert last < 0.7 * first


@pytest.mark.parametrize(
    ("name", "num_objectives"),
    # Optuna warns that its Gaussian processes take too long for more than four objectives.
    [(name, count) for name in STRATEGIES.names() for count in (1, 2, 3, 5)]
    + [pytest.param(name, count, marks=pytest.mark.slow) for name in OPTUNA for count in (1, 2, 3)],
)
def test_any_number_of_objectives_with_and_without_limits(name: str, num_objectives: int) -> None:
    objectives = ("accuracy", "cost", "cost2", "cost3", "cost4")[:num_objectives]
    directions = {key: "maximize" if key == "accuracy" else "minimize" for key in objectives}
    strategy = named(name, Goal(directions, {}))(0)  # type: ignore[arg-type]
    for number in range(at_most(name, 30)):
        suggestion, (accuracy, cost) = strategy.propose(toy, number)
        everything = {"accuracy": accuracy, "cost": cost, "cost2": -cost, "cost3": cost / accuracy, "cost4": cost**2}
        values = {key: everything[key] for key in objectives}
        strategy.observe([Observation(stored(suggestion), "complete", values)])


@pytest.mark.parametrize("name", EVERY)
def test_proposals_go_on_without_any_complete_candidate(name: str) -> None:
    strategy = named(name)(0)
    for number in range(at_most(name, 40)):
        suggestion, (_, cost) = strategy.propose(toy, number)
        observations = {
            "failed": Observation(stored(suggestion), "failed"),
            "stopped": Observation(stored(suggestion), "stopped", {"cost": cost}),
            "infeasible": Observation(stored(suggestion), "infeasible", {"cost": cost}, {"cost": 0.1 + cost}),
            "rejected": Observation(stored(suggestion), "infeasible"),
            "running": Observation(stored(suggestion), "running"),
        }
        strategy.observe([list(observations.values())[number % len(observations)]])


@pytest.mark.parametrize("name", [name for name, given in zip(EVERY, NAMES, strict=True) if given in DISTINCT])
def test_no_network_is_proposed_twice(name: str) -> None:
    check_no_network_twice(named(name), at_most(name, 60))


def tiny(chooser: Chooser) -> tuple[float, float]:
    """One of twelve networks; the kernel size has no effect without a convolution."""
    width = int(chooser.choose("width", (1, 2, 3), ordered=True))  # type: ignore[arg-type]
    has_convolution = bool(chooser.choose("convolution", (False, True)))
    kernel = int(chooser.choose("kernel", (1, 3, 5), ordered=True, active=has_convolution))  # type: ignore[arg-type]
    return float(width + has_convolution * kernel % 4), float(width * (1 + has_convolution * kernel))


@pytest.mark.parametrize("name", EVERY)
def test_the_whole_of_a_tiny_space_is_found(name: str) -> None:
    """All networks are found after at most 400 proposals, and after at most 13 by a strategy that repeats none.

    Then the strategy reports that the space is exhausted.
    """
    strategy, found = STRATEGIES.get(name)(Goal(GOAL.objectives, {}), 0, **tiny_parameters(name)), []
    for number in range(400):
        if strategy.exhausted(number):
            break
        suggestion, (accuracy, cost) = strategy.propose(tiny, number)
        found.append((accuracy, cost))
        values = {"accuracy": accuracy, "cost": cost}
        strategy.observe([Observation(stored(suggestion), "complete", values)])
    everything = {tiny(ReplayChooser(choices)) for choices in tiny_choices()}
    assert strategy.exhausted(len(found)) or name not in ENDING
    assert set(found) == everything
    assert len(found) <= 12 + 1 or name not in DISTINCT


def tiny_choices() -> list[dict[str, object]]:
    plain = [{"width": width, "convolution": False} for width in (1, 2, 3)]
    return plain + [
        {"width": width, "convolution": True, "kernel": kernel} for width in (1, 2, 3) for kernel in (1, 3, 5)
    ]


def tiny_parameters(name: str) -> dict[str, object]:
    return {"choices": tiny_choices()} if name == "given" else {}


@pytest.mark.parametrize("name", EVERY)
def test_a_build_that_raises_leaves_no_trace(name: str) -> None:
    def broken(chooser: Chooser) -> None:
        chooser.choose("mode", ("early", "stride", "pool"), ordered=True)
        raise RuntimeError("out of memory")

    study, undisturbed = Study(named(name)(3)), Study(named(name)(3))
    assert study.run(25) == undisturbed.run(25)
    with pytest.raises(RuntimeError, match="out of memory"):
        study.strategy.propose(broken, 25)
    more = at_most(name, 45) - 25
    assert study.run(more) == undisturbed.run(more)


# -- planted mistakes


class Stuck(Strategy):
    """Planted: ignores the number of the suggestion, so it starts again after every resume."""

    def __init__(self, goal: Goal, seed: int) -> None:
        super().__init__(goal, seed)
        self._calls = 0

    def propose(self, build, number):  # type: ignore[no-untyped-def]
        chooser = RandomChooser(self.seed + self._calls)
        self._calls += 1
        built = build(chooser)
        return Suggestion.from_chooser(number, chooser), built

    def observe(self, observations) -> None:  # type: ignore[no-untyped-def]
        pass


class Skipping(Strategy):
    """Planted: answers active questions only."""

    def propose(self, build, number):  # type: ignore[no-untyped-def]
        chooser = RandomChooser(number)
        built = build(chooser)
        active = tuple(question for question in chooser.questions.values() if question.active)
        return Suggestion(number, active, chooser.active_answers), built

    def observe(self, observations) -> None:  # type: ignore[no-untyped-def]
        pass


@pytest.mark.parametrize(
    ("check", "planted"),
    [
        (lambda make: check_no_copies_after_resume(make, 50), Stuck),
        (lambda make: check_resumed_is_uninterrupted(make, 30, 7), Stuck),
        (lambda make: check_fixed_vector(make, 40), Skipping),
        (lambda make: check_no_network_twice(make, 60), Stuck),
    ],
)
def test_a_planted_bug_is_found(check: Callable[[Make], None], planted: type[Strategy]) -> None:
    with pytest.raises(AssertionError):
        check(lambda seed: planted(GOAL, seed))


def test_random_search_does_not_learn_the_limit() -> None:
    """Random search does not learn, so the learning check must fail on it."""
    first, last = infeasible_shares(named("random")(0))
    assert last > 0.7 * first


WRONG: Mapping[str, Mapping[str, tuple[object, ...]]] = {
    "parego": {"n_startup_trials": (1, 2.5)},
    "pareto_local_search": {"n_startup_trials": (0, "3")},
    "regularized_evolution": {"population_size": (0, 2.5), "sample_size": (0, True)},
    "optuna:GPSampler": {"n_startup_trials": ("3", 2.5), "deterministic_objective": ("yes", 1)},
    "nsga2": {
        "population_size": (1, 2.5, "20", True),
        "crossover_prob": (1.5, "often", float("nan")),
        "swapping_prob": (-1, True),
        "mutation_prob": (2, "0.1"),
    },
    "given": {"choices": ((), "mode", {"mode": "pool"}, ["pool"])},
    "pareto_bo": {"n_startup_trials": (1, 2.5), "shortlist": (0, "8"), "history": (9, None)},
    "tpe": {"n_startup_trials": (-1, 1.5), "n_ei_candidates": (0,), "history": (1, None)},
}


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [(name, key, value) for name, keys in WRONG.items() for key, values in keys.items() for value in values],
)
def test_parameters_are_checked(name: str, key: str, value: object) -> None:
    with pytest.raises(PlanError, match=f"strategy {name}: {key}( are empty| is |=)"):
        STRATEGIES.get(name)(GOAL, 0, **{key: value})
