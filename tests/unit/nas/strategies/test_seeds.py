from __future__ import annotations

from nas.strategies.seeds import suggestion_seed


def test_seeds_are_the_same_everywhere_and_differ_from_one_another() -> None:
    assert suggestion_seed(0, 0) == 2893166218
    assert len({suggestion_seed(seed, number) for seed in range(20) for number in range(200)}) == 4000
    # The seed is not merely a sum: two studies with neighbouring seeds share no suggestions.
    assert suggestion_seed(1, 0) != suggestion_seed(0, 1)
