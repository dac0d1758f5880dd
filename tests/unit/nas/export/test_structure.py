from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from nas.export.onnx_graph import OnnxGraph
from nas.export.structure import count_nonzeros, structure_hash


def write(path: Path, weight: np.ndarray, *, kernel: int = 1, prefix: str = "", scale: float = 2.0) -> Path:
    graph = OnnxGraph()
    graph.scope = prefix
    name = graph.node("Conv", ["input", graph.constant(weight)], kernel_shape=[kernel, kernel])
    name = graph.node("Mul", [name, graph.constant(np.float32(scale))])
    name = graph.reshape(name, (0, -1))
    onnx.save(graph.model("input", (1, 80, 4, 4), name, (1, 1280)), str(path))
    return path


def dense() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(80, 80, 1, 1)).astype(np.float32)


def test_values_and_names_do_not_change_the_structure(tmp_path: Path) -> None:
    expected = structure_hash(write(tmp_path / "a.onnx", dense()))
    assert structure_hash(write(tmp_path / "b.onnx", dense() * 3, prefix="other", scale=5.0)) == expected


def test_zeros_change_the_structure(tmp_path: Path) -> None:
    expected = structure_hash(write(tmp_path / "a.onnx", dense()))
    sparse = dense()
    sparse[5, :40] = 0.0
    moved = dense()
    moved[45, :40] = 0.0
    same_block = dense()
    same_block[6, 40:] = 0.0
    found = [structure_hash(write(tmp_path / "b.onnx", array)) for array in (sparse, moved, same_block)]
    assert expected not in found
    assert found[0] != found[1]
    assert found[0] == found[2]


def test_attributes_and_shapes_change_the_structure(tmp_path: Path) -> None:
    weights = [dense(), np.ones((80, 80, 2, 2), dtype=np.float32)]
    assert structure_hash(write(tmp_path / "a.onnx", weights[0])) != structure_hash(
        write(tmp_path / "b.onnx", weights[1], kernel=2)
    )
    assert structure_hash(write(tmp_path / "c.onnx", weights[0][:79])) != structure_hash(tmp_path / "a.onnx")


def test_counts_of_row_blocks() -> None:
    array = np.zeros((6, 3))
    array[0], array[3, 0], array[5] = 1.0, 2.0, 3.0
    assert count_nonzeros(array) == [[4, 4, 3], [3, 3, 3]]


def test_zeros_by_chance_do_not_count() -> None:
    array = np.ones((4, 100))
    array[2, 7] = 0.0
    assert count_nonzeros(array) == [[400, 200, 100]]
    array[2, :20] = 0.0
    assert count_nonzeros(array) == [[380, 200, 100]]


def test_blocks_of_zeros_differ_from_scattered_ones(tmp_path: Path) -> None:
    """A kernel reads a column of a block once for its four rows, but a column of scattered weights four times."""
    blocks, pairs, scattered = dense(), dense(), dense()
    for row in range(80):
        blocks[row, :40] = pairs[row, row // 2 % 2 :: 2] = scattered[row, row % 2 :: 2] = 0.0
    assert len({structure_hash(write(tmp_path / "a.onnx", array)) for array in (blocks, pairs, scattered)}) == 3
