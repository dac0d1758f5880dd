"""ONNX, written directly from the traced graph: each op emits itself."""

from __future__ import annotations

import hashlib
import io
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import Tensor, fx, nn

from nas.errors import ExportError
from nas.export import Artifact, Exporter
from nas.export.calibration import observe_ranges
from nas.export.folding import deployed_weights
from nas.export.onnx_graph import INPUT, OUTPUT, OnnxGraph
from nas.export.structure import structure_hash
from nas.ops import Call, op_of_module, op_of_target
from nas.ops.activation import ActivationOp
from nas.quantization.ranges import Range
from nas.space import Network
from nas.space.graph import TracedGraph, trace

#: Largest difference between a float file and torch, over the output's standard deviation.
TOLERANCE = 1e-3
#: Inputs of the numeric check.
CHECKED = 4


class OnnxExporter(Exporter):
    """Opset 17; integers as QuantizeLinear/DequantizeLinear pairs, u8 activations and s8 weights per channel."""

    format = "onnx"
    suffix = ".onnx"

    def export(
        self,
        network: Network,
        path: Path,
        *,
        input_shape: tuple[int, ...],
        calibration: Tensor | None = None,
    ) -> Artifact:
        """See ``Exporter.export``."""
        started = time.monotonic()
        network.model.eval()
        record: dict[str, Any] = {}
        try:
            model = emit(network, input_shape, calibration)
            route = "fx"
        except ExportError as error:
            model = _export_by_torch(network, input_shape, calibration)
            route, record["fallback"] = "torch", str(error)
        model.metadata_props.add(key="architecture", value=network.architecture.name)
        content = model.SerializeToString()
        path.write_bytes(content)
        return Artifact(
            path=path,
            format=self.format,
            route=route,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            structure_hash=structure_hash(model),
            input_shape=input_shape,
            relative_error=check_numerics(network, content, input_shape),
            record={**record, "seconds": time.monotonic() - started},
        )


def emit(network: Network, input_shape: tuple[int, ...], calibration: Tensor | None) -> onnx.ModelProto:
    """The model of a network whose every node has an op.

    Raises:
        ExportError: a node has none, named in the message.
    """
    traced = trace(network.model, input_shape)
    weights, folded = deployed_weights(traced)
    integer = any(bits == 8 for bits in network.bits.values())
    ranges = _ranges(traced, calibration, input_shape) if integer else {}
    graph = OnnxGraph(weights, network.bits, ranges)
    names: dict[fx.Node, str] = {traced.input: INPUT}
    kept: dict[fx.Node, Range] = {}
    with torch.no_grad():
        for call in traced.calls:
            inputs = [names[node] for node in call.node.all_input_nodes]
            if call.node in folded:
                name = inputs[0]
            else:
                name = _op(call).emit(graph, call, inputs)
            found = _kept_range(traced, network, call, ranges, kept)
            if found is not None:
                kept[call.node] = found
                name = graph.quantize(name, found)
            names[call.node] = name
    (output,) = traced.output.all_input_nodes
    return graph.model(input_shape, names[output], traced.calls[-1].output_shape)


def check_numerics(network: Network, content: bytes, input_shape: tuple[int, ...]) -> float:
    """Largest difference between a file and torch over the standard deviation of torch's output.

    Raises:
        ExportError: a float file differs by more than ``TOLERANCE``, or the output does not vary.
    """
    generator = torch.Generator().manual_seed(0)
    runs = max(1, CHECKED // input_shape[0])
    batches = [torch.randn(input_shape, generator=generator) for _ in range(runs)]
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    device = next(network.model.parameters()).device
    with torch.no_grad():
        expected = np.concatenate([network.model(batch.to(device)).cpu().numpy() for batch in batches])
    found = np.concatenate([session.run(None, {INPUT: batch.numpy()})[0] for batch in batches])
    if not np.isfinite(found).all():
        raise ExportError("the exported network's output is not finite")
    spread = float(expected.std())
    if spread < 1e-12:
        raise ExportError("the network's output does not vary with its input: nothing can be checked")
    error = float(np.abs(found - expected).max()) / spread
    if all(bits == 32 for bits in network.bits.values()) and error > TOLERANCE:
        raise ExportError(
            f"the exported network differs from torch by {error:.2g} standard deviations (allowed {TOLERANCE:g})"
        )
    return error


def _op(call: Call) -> Any:
    op = op_of_module(call.module) if call.module is not None else op_of_target(call.node.target)
    if op is None:
        what = type(call.module).__name__ if call.module is not None else str(call.node.target)
        raise ExportError(f"no op emits {what} ({call.node.name})")
    return op


def _ranges(
    traced: TracedGraph, calibration: Tensor | None, input_shape: tuple[int, ...]
) -> dict[fx.Node, Range]:
    """Calibrated ranges, or those of noise for a file of which only the time matters."""
    if calibration is None:
        calibration = torch.randn(16, *input_shape[1:], generator=torch.Generator().manual_seed(0))
    return observe_ranges(traced, calibration)


def _kept_range(
    traced: TracedGraph,
    network: Network,
    call: Call,
    ranges: dict[fx.Node, Range],
    kept: dict[fx.Node, Range],
) -> Range | None:
    """The range in which a call's output stays integer, if it does: what runtimes fuse into integer kernels."""
    if not ranges or traced.output in call.node.users:
        return None
    source = call.node.all_input_nodes[0]
    if isinstance(call.module, nn.MaxPool2d | nn.Identity | nn.Dropout):
        return kept.get(source)
    if _is_integer(network, call.node) or isinstance(_op(call), ActivationOp):
        behind = call.node if _is_integer(network, call.node) else _layer_behind(traced, source)
        if behind is None or not _is_integer(network, behind) or _activation_follows(traced, call.node):
            return None
        return ranges[call.node]
    if isinstance(call.module, nn.BatchNorm2d) and _is_integer(network, source):
        return None if _activation_follows(traced, call.node) else ranges[call.node]
    return None


def _is_integer(network: Network, node: fx.Node) -> bool:
    return node.op == "call_module" and network.bits.get(str(node.target), 32) == 8


def _layer_behind(traced: TracedGraph, node: fx.Node) -> fx.Node | None:
    """The layer whose output reaches ``node`` through batch norms only."""
    while node.op == "call_module" and isinstance(
        traced.module.get_submodule(str(node.target)), nn.BatchNorm2d
    ):
        node = node.all_input_nodes[0]
    return node if node.op == "call_module" else None


def _activation_follows(traced: TracedGraph, node: fx.Node) -> bool:
    """Whether an activation alone uses a value, perhaps behind a batch norm: then it is rounded after that."""
    users = list(node.users)
    if len(users) != 1:
        return False
    (user,) = users
    if user.op == "call_module":
        module = traced.module.get_submodule(str(user.target))
        if isinstance(module, nn.BatchNorm2d):
            return True
        return isinstance(op_of_module(module), ActivationOp)
    return isinstance(op_of_target(user.target), ActivationOp)


def _export_by_torch(
    network: Network, input_shape: tuple[int, ...], calibration: Tensor | None
) -> onnx.ModelProto:
    """torch's own exporter, and ONNX Runtime's quantizer behind it."""
    buffer = io.BytesIO()
    example = torch.zeros(input_shape)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network.model,
                (example,),
                buffer,
                input_names=[INPUT],
                output_names=[OUTPUT],
                opset_version=17,
                dynamo=False,
            )
    except Exception as error:  # torch's exporter raises whatever it meets
        raise ExportError(f"torch's exporter can't export {type(network.model).__name__}: {error}") from error
    model = onnx.load_from_string(buffer.getvalue())
    if any(bits == 8 for bits in network.bits.values()):
        model = _quantize_whole(model, network, input_shape, calibration)
    return model


def _quantize_whole(
    model: onnx.ModelProto, network: Network, input_shape: tuple[int, ...], calibration: Tensor | None
) -> onnx.ModelProto:
    if any(bits == 32 for bits in network.bits.values()):
        raise ExportError("a network exported by torch can be quantized as a whole only; use scope: network")
    inputs = torch.randn(16, *input_shape[1:]) if calibration is None else calibration
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "quantized.onnx"
        quantize_static(
            model,
            str(target),
            _Reader(inputs, input_shape[0]),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
        return onnx.load(str(target))


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, inputs: Tensor, batch: int) -> None:
        usable = len(inputs) // batch * batch
        self._batches = iter(inputs[:usable].split(batch))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch.numpy()}
