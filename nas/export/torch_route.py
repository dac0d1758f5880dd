"""The route for networks that have nodes without an op: torch's exporter, then ONNX Runtime's quantizer."""

from __future__ import annotations

import logging
import traceback
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from nas.errors import ExportError, NasError
from nas.export.checking.blame import blame_hooks
from nas.export.checking.check import check_same
from nas.export.job import ExportJob
from nas.export.onnx_graph import OPSET
from nas.export.quantize import halved
from nas.export.ranges import device_of
from nas.export.structure import record_nonzeros
from nas.extras import require
from nas.latency.runtimes import RUNTIMES
from nas.quantization import CALIBRATIONS
from nas.quantization.percentile import PERCENTILE
from nas.quantization.scheme import Scheme, scheme_of
from nas.scratch import Scratch
from nas.space.name_patterns import some

_QUANTIZED_SUFFIX = "_quantized"


def export_with_torch(job: ExportJob) -> tuple[onnx.ModelProto, float]:
    """Write the file; returns its model and its error.

    The network in 32 bits is first written, run and compared with torch. Rounding follows.

    Raises:
        ExportError: torch can't export the network, only a part of the network has fewer bits, or layers have 4 bits.
    """
    bits, layer = _only_bits(job)
    if bits == 4:
        raise ExportError(
            f"4-bit weights need an op for every node of the network, and {some(job.uncovered)} have none; "
            "register ops for them, or choose other bits"
        )
    error = _export(job)
    if bits == 8:
        _quantize(job, scheme_of(layer))
    if bits == 16:
        onnx.save(_halved(onnx.load(str(job.path))), str(job.path))
    if bits < 32:
        error = job.check_fewer_bits()
    return onnx.load(str(job.path)), error


def _only_bits(job: ExportJob) -> tuple[int, nn.Module | None]:
    """The bits of every layer, and one of the layers.

    Raises:
        ExportError: layers have different bits.
    """
    network = job.network
    modules = network.model.named_modules()
    layers = {name: module for name, module in modules if isinstance(module, nn.Conv2d | nn.Linear)}
    fewer = {name: network.bits[name] for name in layers if network.bits.get(name, 32) < 32}
    if not fewer:
        return 32, None
    first, bits = next(iter(fewer.items()))
    for name in layers:
        if network.bits.get(name, 32) != bits:
            raise ExportError(
                f"{first} has {bits} bits and {name} has not, but these nodes have no op: {some(job.uncovered)}. "
                "torch's exporter writes such a network, with the same bits everywhere; register ops for the nodes or "
                "choose one precision"
            )
    return bits, layers[first]


def _halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the weights of its layers stored as float16 and widened before use."""
    graph = model.graph
    weights = {node.input[1] for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul")}
    casts = []
    for item in graph.initializer:
        if item.name in weights and item.data_type == onnx.TensorProto.FLOAT:
            name = item.name
            weight = halved(numpy_helper.to_array(item), name)
            item.CopyFrom(numpy_helper.from_array(weight, f"{name}.float16"))
            casts.append(onnx.helper.make_node("Cast", [item.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def _export(job: ExportJob) -> float:
    """Write the network in 32 bits with the first of torch's exporters whose file is correct; returns its error."""
    errors = []
    # The older exporter is ten times faster and names nodes after modules; the newer one supports more operators.
    for dynamo in (False, True):
        try:
            _write(job, dynamo)
            return check_same(job.expected, job.path, runtime=job.runtime, blame=partial(_blame, job))
        except Exception as error:
            errors.append(f"{'newer' if dynamo else 'older'} exporter: {reason(error)}")
    raise ExportError(
        f"torch can't export this {type(job.network.model).__name__} to ONNX so that {job.runtime} computes the same. "
        + "; ".join(errors)
        + ". Write its forward in operators that torch exports, or register ops for the nodes without one"
    )


def _write(job: ExportJob, dynamo: bool) -> None:
    if dynamo:
        require("onnxscript", "torch's newer exporter")
    extra: dict[str, Any] = {"external_data": False, "verbose": False} if dynamo else {}
    example = job.expected.inputs[:1].expand(job.input_shape).to(device_of(job.network.model))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            job.network.model,
            (example,),
            str(job.path),
            dynamo=dynamo,
            opset_version=OPSET,
            input_names=["input"],
            output_names=["output"],
            **extra,
        )


def _blame(job: ExportJob) -> str:
    return blame_hooks(job.network.model, job.expected, job.input_shape[0]) or (
        f"Nodes without an op of ours, one of which torch's exporter may not know in full: {some(job.uncovered)}. "
        "Write them in other operators, or register ops for them"
    )


def reason(error: Exception) -> str:
    """Class and message of an exception; if it has no message, the place where it was raised."""
    text = str(error).strip()
    if isinstance(error, NasError):
        return text
    if not text and error.__traceback__ is not None:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        text = f"no message, raised in {frame.name} ({Path(frame.filename).name} line {frame.lineno}: {frame.line})"
    return f"{type(error).__name__}: {text}"


def _quantize(job: ExportJob, scheme: Scheme) -> None:
    """Rewrite the file with 8-bit integers.

    Raises:
        ExportError: ONNX Runtime's quantizer does not have the calibration, or can't quantize the file.
    """
    if CALIBRATIONS.get(scheme.calibration["name"]).onnxruntime_method is None:
        known = [name for name in CALIBRATIONS.names() if CALIBRATIONS.get(name).onnxruntime_method]
        raise ExportError(
            f"calibration {scheme.calibration['name']!r} needs an op for every node of the network, and there is none "
            f"for {', '.join(job.uncovered)}; choose {', '.join(known)}, or write these nodes in other operators"
        )
    root = logging.getLogger()
    level = root.level
    with Scratch("nas-quantize-") as folder:
        prepared = Path(folder) / "prepared.onnx"
        # In every call it logs the advice to preprocess the file, which has just been done.
        root.setLevel(logging.ERROR)
        try:
            _run_quantiser(job, prepared, scheme)
        except Exception as error:
            raise ExportError(
                f"ONNX Runtime's quantiser can't write this network in 8 bits: {reason(error)}. It is used because of "
                f"the nodes without an op of ours: {', '.join(job.uncovered)}. Keep the network in fp32 or fp16, or "
                "write these nodes in other operators"
            ) from error
        finally:
            root.setLevel(level)
        originals = {
            item.name + _QUANTIZED_SUFFIX: numpy_helper.to_array(item)
            for item in onnx.load(str(prepared)).graph.initializer
        }
    model = onnx.load(str(job.path))
    present = {item.name for item in model.graph.initializer}
    record_nonzeros(model, {name: array for name, array in originals.items() if name in present})
    onnx.save(model, str(job.path))


def _run_quantiser(job: ExportJob, prepared: Path, scheme: Scheme) -> None:
    RUNTIMES.get("onnxruntime")  # imported first, because it switches the telemetry of onnxruntime off
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    # Shapes are inferred by ONNX: inferring them symbolically fails for files of torch's newer exporter, and every
    # size is a number here.
    quant_pre_process(str(job.path), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(job.path),
        _Reader(job.calibration, job.input_shape[0]),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=not scheme.full_range,
        calibrate_method=CalibrationMethod[CALIBRATIONS.get(scheme.calibration["name"]).onnxruntime_method],
        extra_options={
            "WeightSymmetric": scheme.weights == "symmetric",
            "ActivationSymmetric": scheme.activations == "symmetric",
            "CalibPercentile": scheme.calibration.get("percentile", PERCENTILE),
        },
    )


class _Reader:
    """Calibration inputs in batches of the file's batch size; if there are too few for one batch, they are repeated."""

    def __init__(self, inputs: Tensor, batch: int) -> None:
        repeats = -(-batch // len(inputs))
        array = np.tile(inputs.numpy(), (repeats, 1, 1, 1))
        self._batches = iter([array[start : start + batch] for start in range(0, len(array) - batch + 1, batch)])

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"input": batch}
