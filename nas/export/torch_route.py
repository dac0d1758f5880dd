"""The way round for nodes without an op: torch's own exporter, then ONNX Runtime's own quantiser."""

from __future__ import annotations

import logging
import tempfile
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
from nas.export.quantize import FULL_WEIGHT_LIMIT
from nas.export.structure import record_nonzeros
from nas.latency.runtimes import RUNTIMES
from nas.space import Network

_QUANTIZED_SUFFIX = "_quantized"


def export_with_torch(
    network: Network, path: Path, input_shape: tuple[int, ...], calibration: Tensor, weight_limit: int
) -> onnx.ModelProto:
    """Write ``path`` and return what was written.

    Raises:
        ExportError: torch can't export the network, or 8 bits were asked for parts of it only.
    """
    modules = network.model.named_modules()
    sites = [name for name, module in modules if isinstance(module, nn.Conv2d | nn.Linear)]
    eight = [name for name in sites if network.bits.get(name, 32) == 8]
    if eight and len(eight) < len(sites):
        rest = next(name for name in sites if name not in eight)
        raise ExportError(
            f"{eight[0]} has 8 bits and {rest} has not, but the network has a node without an op; torch's "
            "exporter writes it then, and all of it or nothing becomes integers; register an op for the node "
            "or choose one precision"
        )
    _export(network.model, path, input_shape)
    if eight:
        _quantize(path, input_shape, calibration, weight_limit)
    return onnx.load(str(path))


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


def _quantize(path: Path, input_shape: tuple[int, ...], calibration: Tensor, weight_limit: int) -> None:
    RUNTIMES.get("onnxruntime")  # first, because it turns the package's telemetry off
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    root = logging.getLogger()
    level = root.level
    with tempfile.TemporaryDirectory(prefix="nas-quantize-") as folder:
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
                reduce_range=weight_limit < FULL_WEIGHT_LIMIT,
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
