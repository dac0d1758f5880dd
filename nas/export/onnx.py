"""ONNX files, written op by op from a network's graph."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from torch import Tensor, fx

from nas.errors import ExportError, PlanError
from nas.export import Artifact, Exporter
from nas.export.calibration import SEEDED, ranges, seeded_inputs
from nas.export.check import TOLERANCE, relative_error
from nas.export.folding import Folded, fold
from nas.export.onnx_graph import OPSET, OnnxGraph, Parameter, as_array
from nas.export.quantize import (
    FULL_WEIGHT_LIMIT,
    WEIGHT_LIMIT,
    IntegerPlan,
    Scale,
    plan_integers,
    quantize_layer,
)
from nas.export.structure import record_nonzeros, structure_hash_of
from nas.export.torch_route import export_with_torch
from nas.space import Network
from nas.space.tracing import TracedGraph, trace

#: At least so many inputs are compared.
NUM_CHECKED = 4


class OnnxExporter(Exporter):
    """Writes ONNX: ops emit themselves, batch norms are folded, 8-bit layers become u8/s8 QDQ.

    Args:
        percentile: of calibrated values; 100 takes the extremes, 99.9 cuts a thousandth from both ends.
        full_range: weights use all 8 bits instead of 7. More exact where the processor has VNNI or is an
            ARM; on other x86 ONNX Runtime's kernels overflow on such weights.

    Raises:
        PlanError: a percentile outside (50, 100].
    """

    format = "onnx"
    suffix = ".onnx"

    def __init__(self, percentile: float = 100.0, full_range: bool = False) -> None:
        if not 50.0 < percentile <= 100.0:
            raise PlanError(f"exporter: percentile {percentile}; allowed: above 50, up to 100")
        self._percentile = percentile
        self._limit = FULL_WEIGHT_LIMIT if full_range else WEIGHT_LIMIT

    def export(
        self,
        network: Network,
        path: Path,
        *,
        input_shape: tuple[int, ...],
        calibration: Tensor | None = None,
        runtime: str = "onnxruntime",
    ) -> Artifact:
        """See ``Exporter.export``."""
        started = time.perf_counter()
        network.model.eval()
        graph = trace(network.model, input_shape)
        if len(graph.outputs) != 1:
            raise ExportError(f"the network returns {len(graph.outputs)} tensors; a deployed network returns one")
        uncovered = sorted({node.op_name for node in graph.uncovered})
        inputs = seeded_inputs(input_shape, SEEDED) if calibration is None else calibration.cpu()
        if uncovered:
            model = export_with_torch(network, path, input_shape, inputs, self._limit)
        else:
            model = self._emit(graph, network.bits, input_shape, inputs)
            onnx.save(model, str(path))
        error = _checked(network, path, input_shape, calibration, runtime)
        content = path.read_bytes()
        record: dict[str, Any] = {"opset": OPSET, "uncovered": uncovered}
        if _has_integers(network):
            record["calibrated_on"] = 0 if calibration is None else len(calibration)
        record["seconds"] = round(time.perf_counter() - started, 4)
        return Artifact(
            path=path,
            format=self.format,
            route="torch" if uncovered else "fx",
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            structure_hash=structure_hash_of(model),
            input_shape=tuple(input_shape),
            relative_error=error,
            record=record,
        )

    def _emit(
        self, graph: TracedGraph, bits: Mapping[str, int], input_shape: tuple[int, ...], inputs: Tensor
    ) -> onnx.ModelProto:
        folded = fold(graph, bits)
        plan = plan_integers(graph, folded, bits)
        scales = self._scales(graph, plan, inputs) if plan.values else {}
        builder = OnnxGraph(self._parameters(graph, folded, plan, scales))
        output = _walk(builder, graph, plan, scales)
        output_shape = graph.nodes[graph.outputs[0]].call.output_shape
        model = builder.model("input", input_shape, output, output_shape)
        record_nonzeros(model, builder.originals)
        return model

    def _scales(self, graph: TracedGraph, plan: IntegerPlan, inputs: Tensor) -> dict[int, Scale]:
        own = [index for index in plan.values if index not in plan.same_as]
        found = ranges(graph, [plan.observed[index] for index in own], inputs, percentile=self._percentile)
        scales = {index: Scale.of_range(*found[plan.observed[index]]) for index in own}
        for index in sorted(plan.same_as):
            scales[index] = scales[plan.same_as[index]]
        return scales

    def _parameters(
        self, graph: TracedGraph, folded: Folded, plan: IntegerPlan, scales: Mapping[int, Scale]
    ) -> dict[tuple[fx.Node, str], Parameter | None]:
        replaced: dict[tuple[fx.Node, str], Parameter | None] = {
            (graph.nodes[index].call.node, "bias"): None for index in folded.shifted
        }
        for index, layer in folded.layers.items():
            node = graph.nodes[index]
            weight: Parameter = layer.weight
            bias: Parameter | None = layer.bias
            if index in plan.layers:
                source = scales[plan.owner[node.inputs[0]]]
                weight, bias = quantize_layer(layer, source, limit=self._limit)
            replaced[(node.call.node, "weight")] = weight
            if bias is not None:
                replaced[(node.call.node, "bias")] = bias
        return replaced


def _checked(
    network: Network, path: Path, input_shape: tuple[int, ...], calibration: Tensor | None, runtime: str
) -> float:
    """Error of the file: on seeded inputs, or on data where ranges were made for data."""
    count = math.ceil(NUM_CHECKED / input_shape[0]) * input_shape[0]
    inputs = seeded_inputs(input_shape, count, seed=1)
    if calibration is not None and len(calibration) >= count:
        inputs = calibration[:count]
    tolerance = None if _has_integers(network) else TOLERANCE
    return relative_error(network.model, path, inputs, runtime=runtime, tolerance=tolerance)


def _has_integers(network: Network) -> bool:
    return any(bits == 8 for bits in network.bits.values())


def _walk(builder: OnnxGraph, graph: TracedGraph, plan: IntegerPlan, scales: Mapping[int, Scale]) -> str:
    """Emit every node; the name of the network's output."""
    names: list[str] = []
    for index, node in enumerate(graph.nodes):
        builder.scope = node.name
        if plan.owner[index] != index:
            names.append(names[plan.owner[index]])
            continue
        if node.kind == "input":
            name = "input"
        elif node.op is None:
            name = builder.constant(as_array(graph.tensor(index)))
        else:
            name = node.op.emit(builder, node.call, [names[source] for source in node.inputs])
        if index in scales:
            name = builder.quantized(name, scales[index].scale, scales[index].zero_point)
        names.append(name)
    return names[graph.outputs[0]]
