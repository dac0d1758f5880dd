from __future__ import annotations

import random

import numpy as np
import torch

from nas.estimators.randomness import permutation, seeded
from nas.seeds import seed_of

CPU = torch.device("cpu")


def drawn() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_within_it_is_a_function_of_the_seed() -> None:
    with seeded(5, CPU):
        first = drawn()
    with seeded(5, CPU):
        assert drawn() == first
    with seeded(6, CPU):
        assert all(one != other for one, other in zip(drawn(), first, strict=True))


def test_outside_nothing_is_changed_whatever_happens_within() -> None:
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # type: ignore[index]
    try:
        with seeded(5, CPU):
            drawn()
            raise KeyError
    except KeyError:
        pass
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]  # type: ignore[index]
    assert torch.equal(torch.get_rng_state(), states[2])


def test_seeds_are_the_same_on_every_machine() -> None:
    assert seed_of(0, "order", 3) == 3_950_346_612
    assert len({seed_of(seed, "order", epoch) for seed in range(30) for epoch in range(30)}) == 900


def test_an_order_holds_every_item_once() -> None:
    assert sorted(permutation(50, 1).tolist()) == list(range(50))
    assert not torch.equal(permutation(50, 1), permutation(50, 2))
