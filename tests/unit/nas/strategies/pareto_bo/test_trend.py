"""How much the expectations of earlier studies count."""

from __future__ import annotations

import numpy as np
import pytest

from nas.strategies.pareto_bo.trend import cautious_correlation, fit_trend

GENERATOR = np.random.default_rng(0)
TRUTH = GENERATOR.normal(size=30)


def expected(*columns: np.ndarray) -> np.ndarray:
    """Expectations ``(n, s, 1)`` of one objective."""
    return np.stack(columns, axis=1)[:, :, None]


def test_a_study_that_predicts_the_results_moves_the_mean_to_them() -> None:
    results = 70 + 5 * TRUTH + 0.5 * GENERATOR.normal(size=30)
    trend = fit_trend(expected(TRUTH), 0, results)
    assert trend.weights[0] == pytest.approx(5, rel=0.05)
    assert trend.of(expected(TRUTH)) == pytest.approx(trend.weights[0] * TRUTH)


@pytest.mark.parametrize("wrong", [-TRUTH, np.zeros(30), np.roll(TRUTH, 7)], ids=["opposite", "constant", "unrelated"])
def test_a_study_that_predicts_nothing_has_no_weight(wrong: np.ndarray) -> None:
    trend = fit_trend(expected(wrong, TRUTH), 0, TRUTH)
    assert trend.weights[0] == 0
    assert trend.weights[1] > 0.9
    assert not fit_trend(expected(wrong), 0, TRUTH).weights.any()


def test_without_evidence_there_is_no_trend() -> None:
    assert not fit_trend(expected(TRUTH[:3]), 0, TRUTH[:3]).weights.any()
    few, many = (fit_trend(expected(TRUTH[:n]), 0, TRUTH[:n] + np.sin(7 * TRUTH[:n])).weights[0] for n in (6, 30))
    assert few < many


def test_the_correlation_is_lowered_by_two_standard_errors() -> None:
    noisy = TRUTH + GENERATOR.normal(size=30)
    plain = float(np.corrcoef(TRUTH, noisy)[0, 1])
    assert np.arctanh(cautious_correlation(TRUTH, noisy)) == pytest.approx(np.arctanh(plain) - 2 / np.sqrt(27))
