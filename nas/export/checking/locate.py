"""Finds the first operator of an ONNX file that differs from the same network's correct file, value by value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from nas.latency.runtimes import RUNTIMES

#: Values count as equal if they differ by at most this share of the largest value. Both files run in the same runtime,
#: without optimizations, so only the order of additions can differ.
SAME = 1e-5


@dataclass(frozen=True)
class Located:
    """The first operator that differs.

    Attributes:
        node: its name, which begins with the path of its layer.
        op: its ONNX operator.
        difference: largest difference of its value, in standard deviations of the correct value; infinite if the value
            has another shape, is not finite or is missing.
        cause: how the operator in the file differs from the correct one: another attribute, constant or input.
    """

    node: str
    op: str
    difference: float
    cause: str

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        cause = f": {self.cause}" if self.cause else ""
        return f"The first operator that differs is {self.op} ({self.node}){cause}"


def locate(path: Path, correct: Path, inputs: np.ndarray) -> Located | None:
    """Compare the values of all operators of two files; return None if none differs.

    Args:
        path: the file.
        correct: the file that the exporter writes for the network, which it has compared with torch. Equal operators
            have equal names in both.
        inputs: inputs of the files' batch size, ``(N, C, H, W)`` float32.
    """
    own, other = onnx.load(str(path)), onnx.load(str(correct))
    found, expected = _values(own, inputs), _values(other, inputs)
    nodes = {node.name: node for node in own.graph.node}
    for node in other.graph.node:
        name = node.output[0]
        difference = _difference(found.get(name), expected.get(name))
        if difference > 0:
            return Located(node.name, node.op_type, difference, _cause(nodes.get(node.name), node, own, other))
    return None


def _values(model: onnx.ModelProto, inputs: np.ndarray) -> Mapping[str, np.ndarray]:
    """Every value that the file computes, up to the first operator that the runtime refuses."""
    found: Mapping[str, np.ndarray] = {}
    low, high = 0, len(model.graph.node)
    while low < high:
        count = high if not found and high == len(model.graph.node) else (low + high + 1) // 2
        values = _values_of_first(model, count, inputs)
        if values is None:
            high = count - 1
        else:
            low, found = count, values
    return found


def _values_of_first(model: onnx.ModelProto, count: int, inputs: np.ndarray) -> Mapping[str, np.ndarray] | None:
    """The values of the first operators; None if the runtime can't run them."""
    RUNTIMES.get("onnxruntime")  # imported first, because it switches the telemetry of onnxruntime off
    from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions

    settings = SessionOptions()
    settings.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.log_severity_level = 4
    part = onnx.ModelProto()
    part.CopyFrom(model)
    del part.graph.node[count:]
    del part.graph.output[:]
    del part.graph.value_info[:]
    names = [name for node in part.graph.node for name in node.output if name]
    part.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    try:
        session = InferenceSession(part.SerializeToString(), settings, providers=["CPUExecutionProvider"])
        return dict(zip(names, session.run(names, {session.get_inputs()[0].name: inputs}), strict=True))
    except Exception:  # the runtime's own errors share no base
        return None


def _difference(found: np.ndarray | None, expected: np.ndarray | None) -> float:
    if expected is None:
        return 0.0
    if found is None or found.shape != expected.shape or not np.isfinite(found.astype(np.float64)).all():
        return float("inf")
    wide = expected.astype(np.float64)
    largest = float(np.abs(found.astype(np.float64) - wide).max(initial=0))
    return largest / max(float(wide.std()), 1e-30) if largest > SAME * float(np.abs(wide).max(initial=0)) else 0.0


def _cause(node: Any, correct: Any, own: onnx.ModelProto, other: onnx.ModelProto) -> str:
    if node is None:
        return "it is missing"
    if node.op_type != correct.op_type:
        return f"it is {node.op_type}"
    ours, theirs = _attributes(node), _attributes(correct)
    if names := [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]:
        return ", ".join(f"{name} is {ours.get(name)} instead of {theirs.get(name)}" for name in names)
    if list(node.input) != list(correct.input):
        return f"its inputs are {', '.join(node.input)} instead of {', '.join(correct.input)}"
    changed = [name for name in node.input if _constant(own, name) != _constant(other, name)]
    return f"the constant {', '.join(changed)} differs" if changed else ""


def _attributes(node: Any) -> dict[str, str]:
    return {item.name: str(onnx.helper.get_attribute_value(item)) for item in node.attribute}


def _constant(model: onnx.ModelProto, name: str) -> tuple[Any, ...] | None:
    item = next((item for item in model.graph.initializer if item.name == name), None)
    if item is None:
        return None
    array = numpy_helper.to_array(item)
    return array.shape, array.dtype.str, array.tobytes()
