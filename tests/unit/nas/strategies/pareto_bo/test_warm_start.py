"""Starts from earlier studies: good ones, misleading ones, and ones of other spaces."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from nas.space.chooser import Chooser, RandomChooser
from nas.strategies import EarlierStudy, Goal, Observation, Suggestion
from nas.strategies.pareto_bo import ParetoBoStrategy
from nas.strategies.pareto_bo.codes import Coder, levels_of
from nas.strategies.pareto_bo.earlier import EarlierModel, best_answers, is_useful
from nas.strategies.pareto_bo.warm_start import WarmStart

GOAL = Goal({"accuracy": "maximize", "cost": "minimize"}, {})
WIDTHS = (8, 16, 24, 32)
WRONG = ["negated", "unrelated"]
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


def trusted(done: list[Observation], *studies: EarlierStudy) -> list[str]:
    return [model.name for model in WarmStart(GOAL, studies).trusted(done)]


def test_a_good_study_saves_trainings() -> None:
    scores = [
        (volume(run(started(results(space), seed=seed), 14)), volume(run(started(seed=seed), 14))) for seed in range(4)
    ]
    assert np.mean([warm > cold for warm, cold in scores]) == 1


def test_a_good_study_is_trusted_after_a_few_results() -> None:
    done = run(started(), 10)
    assert not trusted(done[:3], results(space))
    assert trusted(done, results(space)) == ["before"]


@pytest.mark.parametrize("change", [lambda accuracy: 30 - accuracy, lambda accuracy: 1000 * accuracy % 7], ids=WRONG)
def test_a_misleading_study_costs_nothing(change: Callable[[float], float]) -> None:
    wrong = results(space, change=change)
    done = run(started(wrong), 20)
    assert not trusted(done, wrong)
    assert done == run(started(), 20)


def test_a_study_that_is_wrong_about_one_objective_is_not_trusted_for_another() -> None:
    wrong = results(space, change=lambda accuracy: 30 - accuracy)
    costs = [replace(item, values={"cost": item.values["cost"]}) for item in wrong.observations]
    done = run(started(), 10)
    assert trusted(done, wrong, EarlierStudy("costs", tuple(costs))) == ["costs"]


def test_results_without_an_objective_do_not_count() -> None:
    done = run(started(), 10)
    unknown = [replace(item, values={**item.values, "accuracy": math.nan}) for item in done[:7]]
    assert not trusted([*unknown, *done[7:]], results(space))


def test_networks_near_the_front_of_a_trusted_study_are_considered() -> None:
    earlier = results(space)
    done = run(started(), 10)
    (model,) = WarmStart(GOAL, [earlier]).trusted(done)
    coder = Coder(done[0].suggestion.questions)
    front = [coder.nearest(answers) for answers in best_answers(GOAL, earlier)]
    assert model.parents(coder, 100).tolist() == np.stack(front).tolist()
    few = model.parents(coder, 2)
    assert few.tolist() == [front[0].tolist(), front[-1].tolist()]


def test_a_resumed_study_proposes_the_same() -> None:
    done = run(started(results(space)), 16)
    for number in (3, 9, 14):
        again = started(results(space))
        again.observe(done[:number])
        suggestion, _ = again.propose(space, number)
        assert suggestion == done[number].suggestion


def test_other_options_and_questions_are_ignored_by_name() -> None:
    earlier = results(lambda chooser: space(chooser, widths=(8, 16, 32, 64), mode="other mode"))
    (first,) = run(started(earlier), 1)
    questions = first.suggestion.questions
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
