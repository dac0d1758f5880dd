"""A network exported with native kernels runs without this project."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from nas.errors import MeasureError
from nas.latency.runtimes import SessionOptions, make_runtime
from trials.export.scripts.assembly import write_scripts

#: Runs a script in which only numpy and OpenVINO can be imported.
ALONE = (
    "import runpy, sys; sys.modules.update(torch=None, onnxruntime=None, nas=None); "
    "runpy.run_path(sys.argv.pop(1), run_name='__main__')"
)
#: Deletes the only runtime while a graph with its operations still exists. With torch imported,
#: nothing else keeps the library loaded.
SHIP = """
import sys, torch
from pathlib import Path
from nas.latency.runtimes import SessionOptions, make_runtime
make_runtime("openvino_kernels", {}).ship(Path(sys.argv[1]), SessionOptions(), Path(sys.argv[2]))
"""
CHANNELS, PIXELS = 512, 14


def write_sparse(path: Path) -> None:
    """A 1×1 convolution with 5 % of its weights, ReLU, mean. Kernels are about six times faster here, so they are
    chosen.
    """
    generator = np.random.default_rng(0)
    weight = generator.normal(size=(CHANNELS, CHANNELS, 1, 1)) * (generator.random((CHANNELS, CHANNELS, 1, 1)) < 0.05)
    nodes = [
        helper.make_node("Conv", ["input", "weight"], ["sums"]),
        helper.make_node("Relu", ["sums"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["means"]),
        helper.make_node("Flatten", ["means"], ["output"]),
    ]
    shapes = {"input": [1, CHANNELS, PIXELS, PIXELS], "output": [1, CHANNELS]}
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    constants = [numpy_helper.from_array(weight.astype(np.float32), "weight")]
    graph = helper.make_graph(nodes, "sparse", ends[:1], ends[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


def test_the_exported_graph_and_the_library_answer_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_sparse(path)
    try:
        make_runtime("openvino_kernels", {}).ship(path, SessionOptions(), tmp_path)
    except MeasureError as error:
        pytest.skip(str(error))
    assert 'type="SparseConvolution"' in (tmp_path / "kernels.xml").read_text()
    inputs = np.random.default_rng(1).normal(size=(3, CHANNELS, PIXELS, PIXELS)).astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    expected = [int(session.run(None, {"input": item[None]})[0].argmax()) for item in inputs]
    np.save(tmp_path / "inputs.npy", inputs)
    path.unlink()
    write_scripts("openvino_kernels", tmp_path)
    steps = {"input": {"shape": [1, CHANNELS, PIXELS, PIXELS]}, "labels": []}
    (tmp_path / "preprocessing.json").write_text(json.dumps(steps))
    command = [sys.executable, "-c", ALONE, str(tmp_path / "run.py"), str(tmp_path / "inputs.npy")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"answers: {expected}" in ran.stdout


def test_a_graph_may_outlive_its_runtime(tmp_path: Path) -> None:
    path, shipped = tmp_path / "model.onnx", tmp_path / "shipped"
    write_sparse(path)
    shipped.mkdir()
    try:
        make_runtime("openvino_kernels", {}).ship(path, SessionOptions(), tmp_path)
    except MeasureError as error:
        pytest.skip(str(error))
    ended = subprocess.run([sys.executable, "-c", SHIP, str(path), str(shipped)], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (shipped / "kernels.so").exists()
