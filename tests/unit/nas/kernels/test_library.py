"""Every kernel equals numpy within 1e-5 of the largest output."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.errors import MeasureError
from nas.kernels.library import ACTIVATIONS, Library
from nas.kernels.sparse_format import ROWS, Floats, SparseWeights

PIXELS = (*range(1, 20), 33, 49, 64, 100, 196, 200, 256)
WEIGHTS = SparseWeights.of(np.eye(6, 5, dtype=np.float32), 2)
BIAS = np.zeros(6, np.float32)
X = np.zeros((2, 5, 7, 7), np.float32)


@pytest.fixture(scope="module")
def kernels(library: Path) -> Library:
    return Library(library)


def available(kernels: Library) -> list[str]:
    return [found.name for found in kernels.instruction_sets if found.available]


def activated(x: Any, activation: str) -> Any:
    six = np.clip(x + 3, 0, 6) / 6
    return {
        "none": lambda: x,
        "relu": lambda: np.maximum(x, 0),
        "relu6": lambda: np.clip(x, 0, 6),
        "silu": lambda: x / (1 + np.exp(-x)),
        "gelu": lambda: x * (1 + np.vectorize(math.erf)(x / 2**0.5)) / 2,
        "hard_swish": lambda: x * six,
    }[activation]()


def assert_equal(found: Floats, right: Any) -> None:
    assert found.shape == right.shape
    assert np.abs(found - right).max() <= 1e-5 * np.abs(right).max()


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("rows", ROWS)
def test_sparse(kernels: Library, rows: int, channels_last: bool) -> None:
    rng = np.random.default_rng(rows)
    for name in available(kernels):
        for pixels, width in product(PIXELS, kernels.widths(name, rows)):
            outputs, inputs, batch = rng.integers(1, 40), rng.integers(1, 20), rng.integers(1, 4)
            kept = rng.random((outputs, inputs)) < rng.choice([0, 0.1, 0.5, 1])
            weight = (rng.normal(size=(outputs, inputs)) * kept).astype(np.float32)
            bias = rng.normal(size=outputs).astype(np.float32)
            shape = (batch, pixels, inputs) if channels_last else (batch, inputs, pixels)
            x, activation = rng.normal(size=shape).astype(np.float32), rng.choice(ACTIVATIONS)
            settings = {"width": width, "activation": activation, "channels_last": channels_last}
            y = kernels.sparse(SparseWeights.of(weight, rows), bias, x, instruction_set=name, **settings)()
            sums = x @ weight.T + bias if channels_last else weight @ x + bias[:, None]
            assert_equal(y, activated(sums, activation))


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (5, 3), (13, 13)])
def test_depthwise(kernels: Library, kernel: tuple[int, int]) -> None:
    rng = np.random.default_rng(kernel)
    for name, stride, size in product(available(kernels), (1, 2), ((7, 7), (14, 9), (3, 40))):
        pads = rng.integers(0, 7, 4) + max(kernel) // 2
        weight, bias = rng.normal(size=(3, *kernel)).astype(np.float32), rng.normal(size=3).astype(np.float32)
        x, activation = rng.normal(size=(2, 3, *size)).astype(np.float32), rng.choice(ACTIVATIONS)
        begin, end = (int(pads[0]), int(pads[1])), (int(pads[2]), int(pads[3]))
        settings = {"stride": stride, "pads_begin": begin, "pads_end": end, "activation": activation}
        y = kernels.depthwise(weight, bias, x, instruction_set=name, **settings)()
        padded = np.pad(x, ((0, 0), (0, 0), (begin[0], end[0]), (begin[1], end[1])))
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, (2, 3))[:, :, ::stride, ::stride]
        sums = np.einsum("nchwij,cij->nchw", windows, weight) + bias[:, None, None]
        assert_equal(y, activated(sums, activation))


def test_nothing_in_is_nothing_out(kernels: Library) -> None:
    for shape in ((0, 5, 7), (2, 5, 0)):
        y = kernels.sparse(WEIGHTS, BIAS, np.zeros(shape, np.float32), instruction_set="scalar", width=5)()
        assert y.shape == (shape[0], 6, shape[2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((2, 6, 7), np.float32)}, r"x \(2, 6, 7\); allowed here: 5 channels"),
        ({"x": np.zeros(5, np.float32)}, r"x \(5,\); allowed here: 5 channels, in at least two dimensions"),
        ({"x": X.astype(np.float64)}, r"x float64 .*; allowed here: float32"),
        ({"x": X[:, :, :, ::2]}, r"x float32 .*contiguous"),
        ({"bias": BIAS[:5]}, r"bias float32 \(5,\); allowed here: float32 \(6,\)"),
        ({"width": 0}, "width 0; allowed here: "),
        ({"instruction_set": "mmx"}, "instruction set 'mmx'; allowed here: .*scalar"),
        ({"activation": "tanh"}, "activation 'tanh'; allowed here: none, relu"),
        ({"weights": replace(WEIGHTS, rows=3)}, "blocks of 3 outputs; allowed here: 1, 2, 4"),
        ({"weights": replace(WEIGHTS, outputs=0)}, r"weights \(0, 5\); allowed here: not empty"),
        ({"weights": replace(WEIGHTS, starts=WEIGHTS.starts[1:])}, r"starts int32 \(3,\); allowed here: int32 \(4,\)"),
        ({"weights": replace(WEIGHTS, starts=WEIGHTS.starts[::-1].copy())}, "starts that are not ascending"),
        (
            {"weights": replace(WEIGHTS, columns=WEIGHTS.columns + 1)},
            "columns that are not inputs; allowed here: 0 to 4",
        ),
        ({"weights": replace(WEIGHTS, values=WEIGHTS.values[1:])}, "values float32"),
    ],
)
def test_what_a_sparse_kernel_would_misread_is_refused(kernels: Library, change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = (
        {"weights": WEIGHTS, "bias": BIAS, "x": X} | {"instruction_set": "scalar", "width": 5} | change
    )
    with pytest.raises(MeasureError, match=message):
        kernels.sparse(**arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X[0]}, r"x \(5, 7, 7\); allowed here: \(N, 5, H, W\)"),
        ({"weight": np.zeros((5, 3, 0), np.float32)}, r"weight \(5, 3, 0\)"),
        ({"weight": np.zeros((5, 9, 3), np.float32)}, r"x \(2, 5, 7, 7\); allowed here: padded, at least the kernel's"),
        ({"bias": np.zeros(4, np.float32)}, r"bias float32 \(4,\)"),
        ({"stride": 0}, r"stride and pads \(0, 0, 0, 0, 0\)"),
        ({"pads_begin": (-1, 0)}, r"stride and pads \(1, -1, 0, 0, 0\)"),
        ({"activation": "tanh"}, "activation 'tanh'"),
    ],
)
def test_what_a_depthwise_kernel_would_misread_is_refused(
    kernels: Library, change: dict[str, Any], message: str
) -> None:
    arguments: dict[str, Any] = {
        "weight": np.zeros((5, 3, 3), np.float32),
        "bias": np.zeros(5, np.float32),
        "x": X,
    } | change
    with pytest.raises(MeasureError, match=message):
        kernels.depthwise(**arguments, instruction_set="scalar")


def test_multiply_adds_are_counted(kernels: Library) -> None:
    for found in kernels.instruction_sets:
        if found.available:
            assert kernels.multiply_adds(found.name, 10) == 10 * 12 * found.lanes


def test_a_file_that_is_no_library_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "no.so").write_text("no")
    with pytest.raises(MeasureError, match="can't be opened"):
        Library(tmp_path / "no.so")
