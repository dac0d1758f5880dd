"""With every instruction set, depthwise kernels equal scipy in float64 within 1e-5 of the outputs' scale.

Both algorithms are tested: sums of products and the Fourier transform. The transform takes as many channels as a vector
has floats, and leaves the one further channel of each case to the sums.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy.signal import correlate2d

from nas.kernels.library import METHODS, Library

CHANNELS, MAX_LANES = 3, 16
#: Image, kernel, stride, pads (top, left, bottom, right).
AWKWARD = [
    ((1, 1), (1, 1), 1, (0, 0, 0, 0)),
    ((1, 1), (3, 3), 2, (1, 1, 1, 1)),
    ((7, 7), (3, 3), 1, (1, 1, 1, 1)),  # narrower than a vector: rows are stored over each other
    ((14, 14), (3, 3), 2, (0, 0, 1, 1)),  # as TensorFlow pads
    ((15, 17), (4, 6), 1, (1, 2, 2, 3)),
    ((16, 33), (5, 5), 3, (2, 2, 2, 2)),
    ((40, 33), (5, 5), 7, (2, 2, 2, 2)),
    ((6, 40), (31, 1), 1, (15, 0, 15, 0)),
    ((40, 6), (1, 31), 1, (0, 15, 0, 15)),  # kernel and image exchange roles
    ((5, 5), (9, 2), 1, (8, 1, 8, 1)),  # whole output rows and columns of zeros
    ((3, 4), (3, 13), 1, (0, 9, 0, 0)),  # roles exchanged, and columns cut off
    ((28, 28), (13, 13), 1, (6, 6, 6, 6)),  # split once
    ((31, 20), (12, 7), 1, (9, 0, 3, 2)),  # split once, odd number of rows
    ((28, 30), (21, 21), 1, (10, 10, 10, 10)),  # split twice
    ((30, 9), (31, 20), 1, (15, 10, 14, 9)),  # roles exchanged, and split twice
    ((30, 30), (7, 7), 2, (3, 3, 3, 3)),
    ((14, 14), (7, 7), 1, (3, 3, 3, 3)),  # pairs of rows: one tile, with zeros above and below
    ((56, 35), (7, 7), 1, (3, 3, 3, 3)),  # first, middle and last tiles
    ((33, 3), (7, 5), 1, (0, 2, 5, 2)),  # odd number of rows, all of them narrower than a vector
    ((14, 14), (21, 21), 1, (10, 10, 10, 10)),
    ((2, 3), (1, 2), 1, (4, 5, 0, 7)),  # padded by more than the kernel
    ((90, 9), (21, 3), 1, (10, 1, 10, 1)),  # the longest transforms
    ((9, 91), (3, 21), 1, (1, 10, 1, 10)),  # too long for transforms
]
#: All supported lengths of transforms.
LENGTHS = [12, 16, 18, 20, 24, 30, 32, 36, 40, 48, 50, 54, 60, 64, 72, 80, 90, 100]


@pytest.fixture(scope="module")
def kernels(library: Path) -> Library:
    return Library(library)


def assert_all_equal(
    kernels: Library, image: tuple[int, int], kernel: tuple[int, int], stride: int, pads: tuple[int, int, int, int]
) -> None:
    """Every available instruction set computes what scipy computes."""
    rng = np.random.default_rng((*image, *kernel, stride, *pads))
    channels = MAX_LANES + 1
    weight, bias = (rng.normal(size=(channels, *more)).astype(np.float32) for more in (kernel, ()))
    x = rng.normal(size=(1, channels, *image)).astype(np.float32)
    top, left, bottom, right = pads
    padded = np.pad(x[0].astype(np.float64), ((0, 0), (top, bottom), (left, right)))
    pairs = zip(padded, weight.astype(np.float64), bias, strict=True)
    wanted = np.stack([correlate2d(a, b, "valid")[::stride, ::stride] + c for a, b, c in pairs])
    settings: dict[str, Any] = {"stride": stride, "pads_begin": (top, left), "pads_end": (bottom, right)}
    for found, method in product(kernels.instruction_sets, METHODS):
        if found.available:
            some = slice(CHANNELS if method == "pixels" else found.lanes + 1)
            arguments = weight[some], bias[some], np.ascontiguousarray(x[:, some])
            y = kernels.depthwise(*arguments, instruction_set=found.name, method=method, **settings)()
            atol, name = 1e-5 * np.abs(wanted[some]).max(), f"{found.name}, {method}"
            np.testing.assert_allclose(y[0], wanted[some], rtol=0, atol=atol, err_msg=name)


@pytest.mark.parametrize(("image", "kernel", "stride", "pads"), AWKWARD)
def test_awkward_shapes(kernels: Library, image: Any, kernel: Any, stride: int, pads: Any) -> None:
    assert_all_equal(kernels, image, kernel, stride, pads)


@pytest.mark.parametrize(("rows", "columns"), list(zip(LENGTHS, LENGTHS[::-1], strict=True)))
def test_all_lengths_of_transforms(kernels: Library, rows: int, columns: int) -> None:
    assert_all_equal(kernels, (rows - 2, columns - 1), (5, 3), 1, (2, 1, 2, 1))


@pytest.mark.parametrize(
    ("channels", "size", "stride", "transformed"),
    [(MAX_LANES, 20, 1, True), (1, 20, 1, True), (MAX_LANES, 20, 2, False), (MAX_LANES, 100, 1, False)],
)
def test_transforms_compute_what_they_can(
    kernels: Library, channels: int, size: int, stride: int, transformed: bool
) -> None:
    """Where the transform applies, rounding differs; elsewhere the results are equal bit for bit."""
    rng = np.random.default_rng(0)
    weight, x = (rng.normal(size=shape).astype(np.float32) for shape in ((channels, 7, 7), (1, channels, size, size)))
    settings: dict[str, Any] = {"stride": stride, "pads_begin": (3, 3), "pads_end": (3, 3)}
    name = kernels.instruction_sets[0].name if kernels.instruction_sets[0].available else "portable"
    sums, found = (
        kernels.depthwise(weight, weight[:, 0, 0].copy(), x, instruction_set=name, method=method, **settings)()
        for method in METHODS[::2]
    )
    assert (found != sums).any() == transformed


@settings(max_examples=60, deadline=None)
@given(some.data())
def test_any_shape(kernels: Library, data: some.DataObject) -> None:
    kernel = data.draw(some.tuples(some.integers(1, 15), some.integers(1, 15)))
    top, bottom, left, right = (data.draw(some.integers(0, size)) for size in (*kernel[:1] * 2, *kernel[1:] * 2))
    least = max(1, kernel[0] - top - bottom), max(1, kernel[1] - left - right)
    image = (least[0] + data.draw(some.integers(0, 30)), least[1] + data.draw(some.integers(0, 40)))
    assert_all_equal(kernels, image, kernel, data.draw(some.integers(1, 4)), (top, left, bottom, right))


def test_what_is_not_a_number_stays_so(kernels: Library) -> None:
    """A NaN stays a NaN in the outputs it reaches, and affects no other output."""
    x = np.zeros((1, 1, 20, 20), np.float32)
    x[0, 0, 10, 10] = np.nan
    weight, bias = np.ones((1, 3, 3), np.float32), np.zeros(1, np.float32)
    for found in kernels.instruction_sets:
        if found.available:
            y = kernels.depthwise(weight, bias, x, instruction_set=found.name, pads_begin=(1, 1), pads_end=(1, 1))()
            assert np.isnan(y).sum() == 9
