"""Expected hypervolume gains compared with simulated ones."""

from __future__ import annotations

import numpy as np
import pytest

from nas.strategies.pareto import pareto_front
from nas.strategies.pareto_bo.gain import Beliefs, expected_gain

#: Objectives, maximised and minimised; tests with one, two and three objectives take the first ones.
DIRECTIONS = ("maximize", "minimize", "minimize")
WORST = np.array([0.2, 5.0, 3.0])
SHIFT = 1.0
MEAN, SPREAD = np.array([0.5, 0.9]), np.array([0.2, 0.1])


def beliefs(count: int) -> list[Beliefs]:
    return [
        Beliefs(MEAN, SPREAD, "maximize"),
        Beliefs(np.log(np.array([3.0, 4.0]) + SHIFT), SPREAD, "minimize", SHIFT),
        Beliefs(np.array([2.0, 1.0]), SPREAD, "minimize"),
    ][:count]


def drawn(count: int, draws: int) -> np.ndarray:
    """``(draws, 2, count)`` objectives of the two networks."""
    normal = np.random.default_rng(1).standard_normal((draws, 2, 3))
    found = np.stack(
        [
            MEAN + SPREAD * normal[..., 0],
            np.exp(np.log(np.array([3.0, 4.0]) + SHIFT) + SPREAD * normal[..., 1]) - SHIFT,
            np.array([2.0, 1.0]) + SPREAD * normal[..., 2],
        ],
        axis=-1,
    )
    return found[..., :count]


def dominates(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """``(p, c)``: whether each point is at least as good as each cell of a box."""
    signs = np.array([1.0 if direction == "maximize" else -1.0 for direction in DIRECTIONS[: points.shape[1]]])
    return np.asarray(((points[:, None] - cells[None]) * signs >= 0).all(axis=2))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_gains_are_those_of_simulated_networks(count: int) -> None:
    front = np.array([[0.4, 1.0, 2.5], [0.7, 3.5, 2.0], [0.8, 4.5, 2.9], [0.1, 0.5, 0.5], [0.35, 1.2, 2.6]])[:, :count]
    worst, best = WORST[:count], np.array([1.6, -1.0, 0.2])[:count]
    cells = worst + np.random.default_rng(0).random((4000, count)) * (best - worst)
    free = cells[~dominates(front, cells).any(axis=0)]
    found = expected_gain(beliefs(count), front, worst, seed=0)
    for network in range(2):
        share = dominates(drawn(count, 4000)[:, network], free).sum(axis=1).mean() / len(cells)
        assert found[network] == pytest.approx(share * np.prod(np.abs(best - worst)), rel=0.1)


def test_a_network_that_is_worse_for_sure_gains_nothing() -> None:
    sure = np.array([1e-6])
    belief = [Beliefs(np.array([0.5]), sure, "maximize"), Beliefs(np.log(np.array([4.0])), sure, "minimize", 0.0)]
    front = np.array([[0.6, 3.0]])
    assert expected_gain(belief, front, np.array([0.0, 5.0]), 0)[0] == pytest.approx(0.0, abs=1e-9)
    assert len(pareto_front(front, ["maximize", "minimize"])) == 1
    better = [Beliefs(np.array([0.7]), sure, "maximize"), belief[1]]
    assert expected_gain(better, front, np.array([0.0, 5.0]), 0)[0] == pytest.approx(0.1 * 1.0, rel=1e-3)
    assert expected_gain(better, front, np.array([0.65, 5.0]), 0)[0] == pytest.approx(0.05 * 1.0, rel=1e-3)
