"""Starts from earlier studies: good ones, misleading ones, and ones of other spaces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nas.space.chooser import Chooser, RandomChooser
from nas.strategies import EarlierStudy, Goal, Observation, Suggestion
from nas.strategies.pareto_bo import ParetoBoStrategy
from nas.strategies.pareto_bo.codes import Coder, levels_of
from nas.strategies.pareto_bo.earlier import EarlierModel, best_answers, is_useful
from nas.strategies.pareto_bo.model import EARLIER

GOAL = Goal({"accuracy": "maximize", "cost": "minimize"}, {})
WIDTHS = (8, 16, 24, 32)
Build = Callable[[Chooser], tuple[float, float]]


def space(chooser: Chooser, widths: tuple[int, ...] = WIDTHS, mode: str = "mode") -> tuple[float, float]:
    """Accuracy and cost of a network of six layers, 16,384 networks; a wide early layer gives more for its cost."""
    gain, cost = 0.0, 1.0
    for place in range(6):
        width = int(chooser.choose(f"width{place}", widths, ordered=True))  # type: ignore[arg-type]
        gain += (width / 32) ** 0.5 * (6 - place)
        cost += width * (1 + place / 3)
    better = chooser.choose(mode, ("a", "b", "c", "d")) == "c"
    return gain + 3 * better, cost * (0.8 if better else 1.0)


def results(
    build: Build, count: int = 60, change: Callable[[float], float] = lambda accuracy: accuracy
) -> EarlierStudy:
    """Random networks of a space; ``change`` is applied to their accuracies."""
    found = []
    for number in range(count):
        chooser = RandomChooser(number)
        accuracy, cost = build(chooser)
        values = {"accuracy": change(accuracy), "cost": cost}
        found.append(Observation(Suggestion.from_chooser(number, chooser), "complete", values))
    return EarlierStudy("before", tuple(found))


def run(strategy: ParetoBoStrategy, count: int) -> list[Observation]:
    done = []
    for number in range(count):
        suggestion, (accuracy, cost) = strategy.propose(space, number)
        done.append(Observation(suggestion, "complete", {"accuracy": accuracy, "cost": cost}))
        strategy.observe(done[-1:])
    return done


def started(*studies: EarlierStudy, seed: int = 0) -> ParetoBoStrategy:
    strategy = ParetoBoStrategy(GOAL, seed)
    strategy.start_from(studies)
    return strategy


def volume(done: list[Observation]) -> float:
    """Area that the results dominate, below a cost of 300 and above an accuracy of 5."""
    total, best = 0.0, 5.0
    for item in sorted(done, key=lambda item: item.values["cost"]):
        if item.values["accuracy"] > best:
            total += (item.values["accuracy"] - best) * max(0.0, 300 - item.values["cost"])
            best = item.values["accuracy"]
    return total


def from_earlier(done: list[Observation]) -> list[int]:
    return [item.suggestion.number for item in done if EARLIER in item.suggestion.sampler_state]


def test_a_good_study_saves_trainings() -> None:
    scores = [
        (volume(run(started(results(space), seed=seed), 14)), volume(run(started(seed=seed), 14))) for seed in range(4)
    ]
    assert np.mean([warm > cold for warm, cold in scores]) == 1


def test_half_of_the_first_networks_are_from_the_front_of_the_earlier_study() -> None:
    earlier = results(space)
    done = run(started(earlier), 10)
    assert from_earlier(done) == [0, 2, 4, 6, 8]
    front = [tuple(answers.values()) for answers in best_answers(GOAL, earlier)]
    tried = [tuple(done[number].suggestion.answers.values()) for number in from_earlier(done)]
    assert set(tried) <= set(front)
    costs = [done[number].values["cost"] for number in from_earlier(done)]
    assert max(costs) > 1.5 * min(costs)  # spread over the front


def test_a_study_that_contradicts_the_results_is_dropped() -> None:
    done = run(started(results(space, change=lambda accuracy: 30 - accuracy)), 10)
    assert set(from_earlier(done)) <= {0, 2}


def test_a_resumed_study_proposes_the_same() -> None:
    done = run(started(results(space)), 16)
    for number in (3, 9, 14):
        again = started(results(space))
        again.observe(done[:number])
        suggestion, _ = again.propose(space, number)
        assert suggestion == done[number].suggestion


def test_other_options_and_questions_are_ignored_by_name() -> None:
    earlier = results(lambda chooser: space(chooser, widths=(8, 16, 32, 64), mode="other mode"))
    done = run(started(earlier), 12)
    assert from_earlier(done)[:2] == [0, 2]
    questions = done[0].suggestion.questions
    model = EarlierModel(GOAL, earlier, questions)
    coder = Coder(questions)
    rows = [dict.fromkeys([f"width{place}" for place in range(6)], width) | {"mode": "a"} for width in WIDTHS]
    active = dict.fromkeys(rows[0], True)
    found = model.unbuilt(np.stack([coder.levels(row, active) for row in rows]))
    for low, high in ((0, 1), (1, 3), (0, 2)):  # the earlier study has no 24, which counts as an average of its options
        assert (found[low] < found[high]).all()


def test_an_objective_that_the_earlier_study_lacks_is_learned_from_nothing() -> None:
    earlier = results(space)
    alone = replace(
        earlier,
        observations=tuple(replace(item, values={"cost": item.values["cost"]}) for item in earlier.observations),
    )
    done = run(started(alone), 12)
    model = EarlierModel(GOAL, alone, done[0].suggestion.questions)
    levels = np.stack([levels_of(Coder(done[0].suggestion.questions), item.suggestion) for item in done])
    found = model.built(levels, [{}] * len(done))
    assert not found[:, 0].any()
    assert np.corrcoef(found[:, 1], [np.log(item.values["cost"]) for item in done])[0, 1] > 0.9


def test_a_study_without_common_questions_is_of_no_use() -> None:
    questions = results(space).observations[0].suggestion.questions

    def elsewhere(chooser: Chooser) -> tuple[float, float]:
        return float(chooser.choose("depth", (1, 2, 3)) == 2), 1.0

    assert not is_useful(GOAL, results(elsewhere), questions)
    assert is_useful(GOAL, results(space), questions)
    assert not is_useful(GOAL, results(space, count=1), questions)
