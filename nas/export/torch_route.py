"""The way round for nodes without an op: torch's own exporter, then ONNX Runtime's own quantiser."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from nas.errors import ExportError
from nas.export.calibration import device_of
from nas.export.onnx_graph import OPSET
from nas.export.structure import record_nonzeros
from nas.latency.runtimes import RUNTIMES
from nas.quantization.percentile import PERCENTILE
from nas.quantization.scheme import Scheme, scheme_of
from nas.scratch import Scratch
from nas.space import Network

_QUANTIZED_SUFFIX = "_quantized"


def export_with_torch(
    network: Network, path: Path, input_shape: tuple[int, ...], calibration: Tensor
) -> onnx.ModelProto:
    """Write ``path`` and return what was written.

    Raises:
        ExportError: torch can't export the network, fewer bits were asked for parts of it only, or 4 bits.
    """
    bits, layer = _only_bits(network)
    if bits == 4:
        raise ExportError("4-bit weights need an op for every node of the network; register one, or choose other bits")
    _export(network.model, path, input_shape)
    if bits == 8:
        _quantize(path, input_shape, calibration, scheme_of(layer))
    if bits == 16:
        onnx.save(_halved(onnx.load(str(path))), str(path))
    return onnx.load(str(path))


def _only_bits(network: Network) -> tuple[int, nn.Module | None]:
    """The bits of every layer, and one of the layers.

    Raises:
        ExportError: they differ.
    """
    modules = network.model.named_modules()
    layers = {name: module for name, module in modules if isinstance(module, nn.Conv2d | nn.Linear)}
    fewer = {name: network.bits[name] for name in layers if network.bits.get(name, 32) < 32}
    if not fewer:
        return 32, None
    first, bits = next(iter(fewer.items()))
    for name in layers:
        if network.bits.get(name, 32) != bits:
            raise ExportError(
                f"{first} has {bits} bits and {name} has not, but the network has a node without an op; torch's "
                "exporter writes it then, and all of it or nothing gets fewer bits; register an op for the node "
                "or choose one precision"
            )
    return bits, layers[first]


def _halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """With the weights of its layers as float16, widened before use."""
    graph = model.graph
    weights = {node.input[1] for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul")}
    casts = []
    for item in graph.initializer:
        if item.name in weights and item.data_type == onnx.TensorProto.FLOAT:
            name = item.name
            item.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(item).astype(np.float16), f"{name}.float16"))
            casts.append(onnx.helper.make_node("Cast", [item.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def _export(model: nn.Module, path: Path, input_shape: tuple[int, ...]) -> None:
    example = torch.zeros(input_shape, device=device_of(model))
    errors = []
    # The older exporter is ten times faster and names its nodes after modules; the newer knows more.
    for dynamo in (False, True):
        extra: dict[str, Any] = {"external_data": False, "verbose": False} if dynamo else {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.onnx.export(
                    model,
                    (example,),
                    str(path),
                    dynamo=dynamo,
                    opset_version=OPSET,
                    input_names=["input"],
                    output_names=["output"],
                    **extra,
                )
            return
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")
    raise ExportError(f"torch can't export this {type(model).__name__} to ONNX: {'; '.join(errors)}")


#: Our calibrations → those of ONNX Runtime's quantiser.
_METHODS = {"min_max": "MinMax", "percentile": "Percentile", "entropy": "Entropy"}


def _quantize(path: Path, input_shape: tuple[int, ...], calibration: Tensor, scheme: Scheme) -> None:
    RUNTIMES.get("onnxruntime")  # first, because it turns the package's telemetry off
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    if scheme.calibration["name"] not in _METHODS:
        raise ExportError(
            f"calibration {scheme.calibration['name']!r} needs an op for every node of the network; without, choose "
            f"{', '.join(_METHODS)}"
        )
    method = _METHODS[scheme.calibration["name"]]
    root = logging.getLogger()
    level = root.level
    with Scratch("nas-quantize-") as folder:
        prepared = Path(folder) / "prepared.onnx"
        # It advises on the root logger, call by call, to do what has just been done.
        root.setLevel(logging.ERROR)
        try:
            quant_pre_process(str(path), str(prepared))
            quantize_static(
                str(prepared),
                str(path),
                _Reader(calibration, input_shape[0]),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=not scheme.full_range,
                calibrate_method=CalibrationMethod[method],
                extra_options={
                    "WeightSymmetric": scheme.weights == "symmetric",
                    "ActivationSymmetric": scheme.activations == "symmetric",
                    "CalibPercentile": scheme.calibration.get("percentile", PERCENTILE),
                },
            )
        finally:
            root.setLevel(level)
        originals = {
            item.name + _QUANTIZED_SUFFIX: numpy_helper.to_array(item)
            for item in onnx.load(str(prepared)).graph.initializer
        }
    model = onnx.load(str(path))
    present = {item.name for item in model.graph.initializer}
    record_nonzeros(model, {name: array for name, array in originals.items() if name in present})
    onnx.save(model, str(path))


class _Reader:
    """Calibration inputs in batches of the file's size; too few for one are repeated."""

    def __init__(self, inputs: Tensor, batch: int) -> None:
        repeats = -(-batch // len(inputs))
        array = np.tile(inputs.numpy(), (repeats, 1, 1, 1))
        self._batches = iter([array[start : start + batch] for start in range(0, len(array) - batch + 1, batch)])

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"input": batch}
