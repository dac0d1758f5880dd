"""The first operator that differs is found, and named with the cause."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nas.export.checking.locate import locate
from nas.export.checking.recount import recount

ROOT = Path(__file__).parents[5]
INPUTS = np.random.default_rng(0).normal(size=(1, 2, 6, 6)).astype(np.float32)


def network() -> onnx.ModelProto:
    generator = np.random.default_rng(1)
    weights = {"first.weight": (4, 2, 3, 3), "first.bias": (4,), "second.weight": (3, 4, 1, 1)}
    constants = [
        numpy_helper.from_array(generator.normal(size=shape).astype(np.float32), name)
        for name, shape in weights.items()
    ]
    nodes = [
        helper.make_node("Conv", ["input", "first.weight", "first.bias"], ["a"], name="first/Conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], name="first/Relu"),
        helper.make_node("Conv", ["b", "second.weight"], ["c"], name="second/Conv"),
        helper.make_node("Sub", ["c", "c0"], ["output"], name="second/Sub"),
    ]
    constants.append(numpy_helper.from_array(np.ones((1, 3, 1, 1), dtype=np.float32), "c0"))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in {"input": [1, 2, 6, 6], "output": [1, 3, 6, 6]}.items()
    ]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def pad(model: onnx.ModelProto, pads: list[int]) -> None:
    model.graph.node[0].attribute[0].ints[:] = pads


def change_weight(model: onnx.ModelProto) -> None:
    values = numpy_helper.to_array(model.graph.initializer[2]).copy()
    values.flat[5] += 1
    model.graph.initializer[2].CopyFrom(numpy_helper.from_array(values, "second.weight"))


@pytest.mark.parametrize(
    ("plant", "node", "cause"),
    [
        (
            lambda model: pad(model, [0, 0, 2, 2]),
            "first/Conv",
            "pads is",
        ),
        (
            lambda model: pad(model, [0, 0, 0, 0]),
            "first/Conv",
            "pads is",
        ),
        (lambda model: model.graph.node[0].input.pop(), "first/Conv", "its inputs are input, first.weight instead of"),
        (lambda model: setattr(model.graph.node[1], "op_type", "Abs"), "first/Relu", "it is Abs"),
        (change_weight, "second/Conv", "the constant second.weight differs"),
        (lambda model: model.graph.node[3].input.reverse(), "second/Sub", "its inputs are c0, c instead of c, c0"),
    ],
)
def test_a_planted_fault(plant: Callable[[onnx.ModelProto], Any], node: str, cause: str, tmp_path: Path) -> None:
    onnx.save(network(), str(tmp_path / "correct.onnx"))
    model = network()
    plant(model)
    onnx.save(model, str(tmp_path / "model.onnx"))
    found = locate(tmp_path / "model.onnx", tmp_path / "correct.onnx", INPUTS)
    assert found is not None
    assert found.node == node
    assert cause in found.sentence


def test_equal_files_do_not_differ(tmp_path: Path) -> None:
    onnx.save(network(), str(tmp_path / "model.onnx"))
    assert locate(tmp_path / "model.onnx", tmp_path / "model.onnx", INPUTS) is None


def test_a_file_is_counted(tmp_path: Path) -> None:
    model = network()
    values = numpy_helper.to_array(model.graph.initializer[2]).copy()
    values[0] = 0
    model.graph.initializer[2].CopyFrom(numpy_helper.from_array(values, "second.weight"))
    onnx.save(model, str(tmp_path / "model.onnx"))
    found = recount(tmp_path / "model.onnx")
    assert (found.weights, found.zeros, found.macs) == (4 * 2 * 9 + 3 * 4, 4, 36 * (4 * 2 * 9 + 3 * 4))


@pytest.mark.slow
def test_faults_in_exported_networks_of_several_spaces_and_precisions() -> None:
    run = runpy.run_path(str(ROOT / "benchmarks" / "locate_faults.py"), run_name="benchmark")["run"]
    found = list(run(4))
    assert len(found) >= 30
    assert sum(item.node == item.found for item in found) >= len(found) - 2
