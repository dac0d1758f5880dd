"""Makes the networks that the search for the next proposal considers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Levels = npt.NDArray[np.int64]

#: Largest number of networks in a space of which every proposal compares all networks.
SMALL = 4096
#: Largest number of networks of each kind.
NEIGHBOURS, MUTANTS, CROSSINGS, RANDOM = 480, 150, 150, 150


def all_networks(sizes: Levels) -> Levels | None:
    """Indices ``(n, d)`` of the answers of all networks of a small space; None if the space is large."""
    if np.prod(sizes.astype(np.float64)) > SMALL:
        return None
    return np.stack(np.unravel_index(np.arange(int(np.prod(sizes))), tuple(sizes)), axis=1)


def moves(parents: Levels, sizes: Levels, generator: np.random.Generator) -> Levels:
    """Indices ``(n, d)`` of the answers of new networks, without duplicates.

    These are neighbours, which differ from a parent in one answer; mutants, which differ in two; crossings of two
    parents, half of them with one more answer changed; and random networks.

    Args:
        parents: indices ``(p, d)`` of the answers of the best networks; may be empty.
        sizes: numbers of options ``(d,)``.
        generator: generator of random numbers.
    """
    parts = [_random(RANDOM, sizes, generator)]
    if len(parents):
        crossings = _crossings(parents, CROSSINGS, generator)
        parts += [
            _neighbours(parents, sizes, generator),
            _changed(_changed(_drawn(parents, MUTANTS, generator), sizes, generator), sizes, generator),
            crossings[::2],
            _changed(crossings[1::2], sizes, generator),
        ]
    return np.unique(np.concatenate(parts), axis=0)


def _random(count: int, sizes: Levels, generator: np.random.Generator) -> Levels:
    return generator.integers(0, sizes, size=(count, len(sizes)))


def _drawn(parents: Levels, count: int, generator: np.random.Generator) -> Levels:
    return np.asarray(parents[generator.integers(0, len(parents), count)])


def _neighbours(parents: Levels, sizes: Levels, generator: np.random.Generator) -> Levels:
    """All networks that differ from a parent in one answer, or a random choice of ``NEIGHBOURS`` of them."""
    columns = np.repeat(np.arange(len(sizes)), sizes)
    options = np.concatenate([np.arange(size) for size in sizes]) if len(sizes) else columns
    steps = np.arange(len(parents) * len(columns))
    if len(steps) > NEIGHBOURS:
        steps = np.sort(generator.choice(len(steps), NEIGHBOURS, replace=False))
    if not len(steps):
        return np.empty((0, len(sizes)), dtype=np.int64)
    rows, step = np.divmod(steps, len(columns))
    found = parents[rows]
    found[np.arange(len(found)), columns[step]] = options[step]
    return np.asarray(found)


def _changed(networks: Levels, sizes: Levels, generator: np.random.Generator) -> Levels:
    """Networks with another answer to one random question that has several options."""
    free = np.flatnonzero(sizes > 1)
    if not len(free):
        return networks
    found, rows = networks.copy(), np.arange(len(networks))
    places = generator.choice(free, len(networks))
    steps = generator.integers(1, sizes[places])
    found[rows, places] = (found[rows, places] + steps) % sizes[places]
    return found


def _crossings(parents: Levels, count: int, generator: np.random.Generator) -> Levels:
    first, second = (_drawn(parents, count, generator) for _ in range(2))
    return np.where(generator.random(first.shape) < 0.5, first, second)
