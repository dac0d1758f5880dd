"""Effects, pairs, importances and predictions of choices, on trials whose rule is known."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from tests.browser.seed import seed_database
from trials.analysis.choice_importance import MAX_TRIALS, choice_importances
from trials.analysis.choices import ChoiceResults, effects, pair_means
from trials.analysis.what_if import fit_forests
from trials.reporting.study import StudyView, study_view
from trials.store.database.engine import open_engine
from trials.store.read.choices import NO_EFFECT

WIDTHS, COLOURS, KERNELS = (8, 16, 32), ("green", "red"), (3, 5)


def made(count: int, seed: int = 0) -> ChoiceResults:
    """Accuracy grows with the width; colour does nothing; half of the networks have a kernel, which hardly matters."""
    draw = np.random.default_rng(seed)
    codes = np.stack([draw.integers(0, 3, count), draw.integers(0, 2, count), draw.integers(0, 2, count)], axis=1)
    codes[draw.random(count) < 0.5, 2] = NO_EFFECT
    accuracy = 0.8 + 0.05 * codes[:, 0] + 0.004 * codes[:, 2] + 0.01 * draw.standard_normal(count)
    latency = 1.0 + codes[:, 0] * (1 + codes[:, 1]) + 0.05 * draw.standard_normal(count)
    return ChoiceResults(
        numbers=np.arange(count),
        names=("width", "colour", "kernel"),
        options=(WIDTHS, COLOURS, KERNELS),
        codes=codes.astype(np.int32),
        metrics=("accuracy", "latency_ms"),
        directions=("maximize", "minimize"),
        values=np.stack([accuracy, latency], axis=1),
        shares=(codes[:, 0] == 2).astype(np.float64),
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudyView]:
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('choices') / 'nas.db'}")
    seed_database(engine)
    with study_view(engine, "digits") as view:
        yield view
    engine.dispose()


def test_importances_are_those_of_optuna() -> None:
    results = made(150)
    found = choice_importances(results)
    assert found is not None
    spaces = {name: CategoricalDistribution(own) for name, own in zip(results.names, results.options, strict=True)}
    for place, metric in enumerate(results.metrics):
        other = optuna.create_study(direction=results.directions[place])
        for codes, values in zip(results.codes, results.values, strict=True):
            own = {name: int(code) for name, code in zip(results.names, codes, strict=True) if code != NO_EFFECT}
            other.add_trial(
                create_trial(
                    params={name: spaces[name].choices[code] for name, code in own.items()},
                    distributions={name: spaces[name] for name in own},
                    value=float(values[place]),
                )
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = get_param_importances(other, evaluator=PedAnovaImportanceEvaluator())
        ours = dict(zip(found.names, found.values[found.metrics.index(metric)].tolist(), strict=True))
        assert ours == pytest.approx(theirs, abs=1e-6)


def test_what_matters_is_certain_and_what_does_not_is_small() -> None:
    found = choice_importances(made(400))
    assert found is not None
    assert found.ranked("accuracy")[0] == "width"
    width, colour = found.names.index("width"), found.names.index("colour")
    assert found.low[0, width] > found.high[0, colour]
    assert (found.low <= found.values).all()
    assert (found.values <= found.high).all()
    assert found.values.sum(axis=1) == pytest.approx(1.0)


def test_importances_of_very_many_trials_use_a_subset_and_say_so() -> None:
    found = choice_importances(made(MAX_TRIALS + 500))
    assert found is not None
    assert (found.used, found.count) == (MAX_TRIALS, MAX_TRIALS + 500)


def test_few_trials_have_no_importances_and_no_predictions() -> None:
    assert choice_importances(made(19)) is None
    assert fit_forests(made(19)) is None


def test_effects_are_means_of_the_trials_with_an_answer() -> None:
    results = made(200)
    found = effects(results, "kernel")
    assert [effect.answer for effect in found] == ["3", "5", "no effect"]
    rows = results.column("kernel") == 1
    assert found[1].count == rows.sum()
    assert found[1].means[:, 0] == pytest.approx(results.values[rows].mean(axis=0))
    assert (found[1].means[:, 1] < found[1].means[:, 0]).all()
    assert sum(effect.share for effect in found) == pytest.approx(1.0)
    assert [effect.front_share for effect in effects(results, "width")] == [0.0, 0.0, 1.0]


def test_an_answer_of_one_trial_has_no_interval() -> None:
    found = effects(made(200).sample(1), "width")
    assert [effect.count for effect in found] == [1]
    assert np.isnan(found[0].means[:, 1:]).all()


def test_pairs_show_what_two_choices_do_together() -> None:
    results = made(600)
    pair = pair_means(results, "width", "colour", "latency_ms")
    assert pair.means == pytest.approx(np.array([[1, 1], [2, 3], [3, 5]]), abs=0.05)
    assert pair.counts.sum() == 600
    assert pair.interactions[2, 1] == pytest.approx(0.5, abs=0.15)
    plain = pair_means(results, "width", "kernel", "accuracy")
    assert list(plain.second) == ["no effect", "3", "5"]
    assert np.nanmax(np.abs(plain.interactions)) < 0.02


def test_a_forest_predicts_a_changed_choice() -> None:
    results = made(300)
    forests = fit_forests(results)
    assert forests is not None
    assert min(forests.spearman) > 0.8
    narrow, wide = forests.predict(np.array([[0, 0, NO_EFFECT], [2, 0, NO_EFFECT]]))
    assert wide[0, 0] - narrow[0, 0] == pytest.approx(0.1, abs=0.02)
    assert (narrow[:, 1] > 0).all()


def test_choices_of_a_study_are_those_of_its_complete_trials(study: StudyView) -> None:
    results = study.choice_results
    rows = [row for row in study.rows(range(30)).values() if row.state == "complete"]
    assert results.numbers.tolist() == [row.number for row in rows]
    for row, codes, values in zip(rows, results.codes, results.values, strict=True):
        own = {name: results.options[place][codes[place]] for place, name in enumerate(results.names)}
        assert own == row.choices
        assert values.tolist() == [row.metrics[name].value for name in results.metrics]
    widths = results.options[results.names.index("stem.width")]
    assert list(widths) == sorted(widths)
