"""Writes ONNX files from the graph of a network, op by op."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from torch import Tensor

from nas.errors import ExportError
from nas.export import Artifact, Exporter
from nas.export.checking.blame import blame_hooks, blame_operator
from nas.export.checking.check import check_same, file_answers
from nas.export.checking.expected import expect
from nas.export.job import ExportJob
from nas.export.onnx_graph import OnnxGraph
from nas.export.ranges import SEEDED, seeded_inputs
from nas.export.shipped import Shipped, ship
from nas.export.simulation import Simulation, can_simulate
from nas.export.structure import record_nonzeros, structure_hash_of
from nas.export.torch_route import export_with_torch
from nas.graph.tracing import TracedGraph, trace
from nas.ops.arrays import as_array
from nas.scratch import Scratch
from nas.space import Network

#: Smallest number of inputs on which file and network are compared.
NUM_CHECKED = 8


class OnnxExporter(Exporter):
    """Writes ONNX from the traced graph.

    If a network has a node that no op covers, torch's own exporter writes the network, and the trial has a warning that
    names the node. torch's older exporter is tried first. If it can't write the network, or if its file computes
    something else, the newer exporter is tried, which needs ``pip install 'measured-nas[onnx-dynamo]'``.

    Every file is compared on training images with the trained network, which torch runs in eval mode with its hooks.
    The network in 32 bits is written first; its outputs may differ by at most 0.001 standard deviations. The file of
    fewer bits is then compared with a simulation of its rounding. Its distance to the network (root mean square) may be
    at most three times the distance that rounding every operator in torch causes, or 0.01 standard deviations.

    Before anything is trained, ``nas validate`` and ``nas search`` write one network of the space in every precision of
    the plan. They refuse networks that are random in eval mode, forward hooks that exporting would lose, and operators
    that a precision does not support.

    Batch norms are folded. 8-bit layers become QuantizeLinear and DequantizeLinear pairs with u8 activations and s8
    weights. Weights of 16 and 4 bits are stored as such and widened before use.
    """

    format = "onnx"
    suffix = ".onnx"

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
        expected = expect(network.model, _compared(input_shape, calibration), input_shape[0])
        inputs = seeded_inputs(input_shape, SEEDED) if calibration is None else calibration.cpu()
        without_op = tuple(f"{node.op_name} ({node.name})" for node in graph.uncovered)
        job = ExportJob(network, path, input_shape, inputs, expected, runtime, without_op)
        enclosed: list[str] = []
        if uncovered:
            model, error = export_with_torch(job)
        else:
            model, error, enclosed = _export_ops(job, graph)
        content = path.read_bytes()
        record: dict[str, Any] = {"opset": model.opset_import[0].version, "uncovered": uncovered}
        if _has_integers(network):
            record["calibrated_on"] = 0 if calibration is None else len(calibration)
        if enclosed:
            record["enclosed_by_integers"] = enclosed
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


def _compared(input_shape: tuple[int, ...], calibration: Tensor | None) -> Tensor:
    """The inputs on which file and network are compared: data if there are any, otherwise random inputs."""
    count = math.ceil(NUM_CHECKED / input_shape[0]) * input_shape[0]
    if calibration is None:
        return seeded_inputs(input_shape, count, seed=1)
    return calibration[:count].cpu()


def _export_ops(job: ExportJob, graph: TracedGraph) -> tuple[onnx.ModelProto, float, list[str]]:
    """Write the file op by op; returns the model, its error and its enclosed layers.

    The network in 32 bits is first written, run and compared with torch. A file with fewer bits has the same ops. It is
    compared with a simulation of its rounding, and with the largest difference that rounding can explain.
    """
    whole = _Written(graph, {}, job.calibration)
    fewer = any(bits < 32 for bits in job.network.bits.values())
    with Scratch("nas-compare-") as folder:
        plain = Path(folder) / job.path.name if fewer else job.path
        model = whole.model(job.input_shape)
        onnx.save(model, str(plain))
        error = check_same(job.expected, plain, runtime=job.runtime, blame=partial(_blame, job, graph, whole))
    if not fewer:
        return model, error, []
    written = _Written(graph, job.network.bits, job.calibration)
    model = written.model(job.input_shape)
    onnx.save(model, str(job.path))
    return model, job.check_fewer_bits(written.simulation), written.enclosed


def _blame(job: ExportJob, graph: TracedGraph, written: _Written) -> str:
    batch = job.input_shape[0]
    if found := blame_hooks(job.network.model, job.expected, batch):
        return found
    inputs = job.expected.inputs[:batch]

    def value_of(index: int) -> np.ndarray:
        with Scratch("nas-blame-") as folder:
            path = Path(folder) / "until.onnx"
            onnx.save(written.model(job.input_shape, until=index), str(path))
            return file_answers(path, inputs, job.runtime)[0]

    return blame_operator(graph, inputs, value_of)


class _Written:
    """The content of a file: how values are rounded, and the parameters as they ship."""

    def __init__(self, graph: TracedGraph, bits: Mapping[str, int], inputs: Tensor) -> None:
        self._graph, self._bits = graph, bits
        self._shipped = ship(graph, bits, inputs)

    @property
    def enclosed(self) -> list[str]:
        """Float layers that read and write rounded values; ONNX Runtime computes them in integers nevertheless."""
        return [self._graph.nodes[index].name for index in self._shipped.plan.enclosed]

    @property
    def simulation(self) -> Simulation | None:
        """The file simulated in torch; None if nothing is rounded, or if its rounding can't be simulated."""
        shipped = self._shipped
        fewer = [index for index in shipped.folded.layers if self._bits.get(self._graph.nodes[index].path, 32) < 32]
        if not fewer or shipped.plan.enclosed or not all(can_simulate(self._graph.nodes[index]) for index in fewer):
            return None
        return Simulation(self._graph, fewer, shipped)

    def model(self, input_shape: tuple[int, ...], until: int | None = None) -> onnx.ModelProto:
        """The file's content; with ``until``, for a file that returns the value of this node."""
        builder = OnnxGraph(self._shipped.parameters)
        place = self._graph.outputs[0] if until is None else until
        output = _walk(builder, self._graph, self._shipped)[place]
        output_shape = self._graph.nodes[place].call.output_shape
        model = builder.model("input", input_shape, output, output_shape)
        record_nonzeros(model, builder.originals)
        return model


def _has_integers(network: Network) -> bool:
    return any(bits == 8 for bits in network.bits.values())


def _walk(builder: OnnxGraph, graph: TracedGraph, shipped: Shipped) -> list[str]:
    """Emit every node and return the names of their values."""
    plan, steps = shipped.plan, shipped.steps
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
        if index in steps:
            name = builder.quantized(name, np.float32(steps[index].scale), np.uint8(steps[index].zero_point))
        names.append(name)
    return names
