from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import MeasureError
from nas.kernels.sparse_format import ROWS, Floats, SparseWeights, fill


@st.composite
def weights(draw: st.DrawFn) -> Floats:
    """Weights from 0 × 0 up to 9 × 9, of any density; some rows are all zero."""
    outputs, inputs = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    kept = rng.random((outputs, inputs)) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    return (rng.normal(size=(outputs, inputs)) * kept * (rng.random((outputs, 1)) < 0.7)).astype(np.float32)


@given(weights(), st.sampled_from(ROWS))
def test_the_dense_weight_comes_back(weight: Floats, rows: int) -> None:
    found = SparseWeights.of(weight, rows)
    np.testing.assert_array_equal(found.dense(), weight)
    arrays = (found.starts, found.columns, found.values)
    assert [array.dtype.name for array in arrays] == ["int32", "int32", "float32"]


@given(weights(), st.sampled_from(ROWS))
def test_what_is_stored_is_what_fill_says(weight: Floats, rows: int) -> None:
    found = SparseWeights.of(weight, rows)
    assert len(found.starts) == -(-len(weight) // rows) + 1
    assert found.starts[-1] == len(found.columns) == len(found.values) // rows
    assert len(found.values) == pytest.approx(fill(weight, rows) * np.count_nonzero(weight))


def test_outputs_of_a_block_share_their_inputs_and_the_last_block_is_padded() -> None:
    weight = np.array([[0, 1, 0], [2, 0, 0], [0, 0, 0], [0, 0, 0], [0, 3, 4]], np.float32)
    found = SparseWeights.of(weight, 2)
    assert found.starts.tolist() == [0, 2, 2, 4]
    assert found.columns.tolist() == [0, 1, 1, 2]
    assert found.values.tolist() == [0, 2, 1, 0, 3, 0, 4, 0]
    assert fill(weight, 2) == 2


def test_blocks_that_fit_the_zeros_store_no_zero() -> None:
    weight = np.repeat(np.eye(3, dtype=np.float32), 4, 0)
    assert [fill(weight, rows) for rows in ROWS] == [1, 1, 1]
    assert fill(weight[:-1], 4) == pytest.approx(12 / 11)


def test_weights_that_are_all_zero_store_nothing() -> None:
    found = SparseWeights.of(np.zeros((5, 3), np.float32), 4)
    assert found.starts.tolist() == [0, 0, 0]
    assert len(found.columns) == len(found.values) == 0
    assert fill(np.zeros((5, 3), np.float32), 4) == 1


@pytest.mark.parametrize(
    ("weight", "rows", "message"),
    [
        (np.zeros((2, 2), np.float32), 3, "blocks of 3 outputs; allowed: 1, 2, 4"),
        (np.zeros((2, 2)), 1, r"float64 \(2, 2\); allowed: float32"),
        (np.zeros((2, 2, 1), np.float32), 1, r"float32 \(2, 2, 1\); allowed: float32 \(outputs, inputs\)"),
    ],
)
def test_what_has_no_kernel_is_refused(weight: Floats, rows: int, message: str) -> None:
    with pytest.raises(MeasureError, match=message):
        SparseWeights.of(weight, rows)
    with pytest.raises(MeasureError, match=message):
        fill(weight, rows)
