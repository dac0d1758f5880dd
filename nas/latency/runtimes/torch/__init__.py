"""torch as a runtime, eager or compiled, on the processor or a GPU; nothing else in ``nas.latency`` imports torch."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import torch
from onnx import helper
from torch import Tensor

from nas.errors import MeasureError, PlanError
from nas.latency.runtimes import Runtime, Session, SessionOptions
from nas.latency.runtimes.in_process import random_input
from nas.latency.runtimes.torch.graph import TorchGraph
from nas.latency.runtimes.torch.semi_structured import make_sparse
from nas.latency.runtimes.torch.sessions import Module, TorchSession, peak_memory

#: Oldest ONNX opset that can be translated.
OLDEST_OPSET = 13


class Torch(Runtime):
    """Translates the ONNX file into torch code without branches, with feature maps in channels_last.

    Batch norms are folded, and activations that the file expresses by several nodes become one call again. Files with
    int8 or int4 are refused, because torch would only imitate them. It needs nothing but the project; its measuring
    process takes seconds to start.

    Args:
        device: ``cpu`` or ``cuda``. On a GPU, each run lies between two CUDA events and is waited for; the input is
            already on the GPU.
        compile: use ``torch.compile``; it needs a C++ compiler on the processor or triton on a GPU, and takes seconds
            per candidate.
        half: compute in 16 bits; on a GPU only.
        cuda_graphs: replay one captured run; on a GPU only.
        semi_structured: use sparse kernels for linear layers and 1×1 convolutions that keep two of four inputs (pattern
            ``nm_2_4``, 64 inputs and 32 outputs or multiples); on a GPU only, together with ``half``.
    """

    formats = frozenset({"onnx"})
    precisions = frozenset({"fp16", "fp32"})

    def __init__(
        self,
        device: str = "cpu",
        compile: bool = False,
        half: bool = False,
        cuda_graphs: bool = False,
        semi_structured: bool = False,
    ) -> None:
        if device not in ("cpu", "cuda"):
            raise PlanError(f"torch: device {device!r}; allowed: cpu, cuda")
        for name, value in {"half": half, "cuda_graphs": cuda_graphs, "semi_structured": semi_structured}.items():
            if value and device == "cpu":
                raise PlanError(f"torch: {name} works only on a GPU; also set device: cuda, or leave {name} out")
        if semi_structured and not half:
            raise PlanError("torch: semi_structured kernels compute in 16 bits; also set half: true")
        _check_machine(device, compile)
        self._device, self._compile, self._half = torch.device(device), compile, half
        self._cuda_graphs, self._semi_structured = cuda_graphs, semi_structured
        self.processor_time = device == "cpu"
        if semi_structured:
            self.patterns = frozenset({"nm_2_4", "nm_2_4_by_4"})

    def open(self, path: Path, options: SessionOptions) -> Session:
        """See ``Runtime.open``."""
        try:
            with peak_memory(self._device.type == "cuda") as peak_bytes:
                session = self._session(path, options)
            return session.took(peak_bytes())
        except MeasureError as error:
            raise MeasureError(f"torch can't run {path}: {error}") from error
        except Exception as error:  # parsing, torch and compilers raise errors without a common base
            raise MeasureError(f"torch can't run {path}: {type(error).__name__}: {error}") from error

    def version(self) -> str:
        """Version of the installed package, with the platform that it was built for."""
        return str(torch.__version__)

    def _session(self, path: Path, options: SessionOptions) -> TorchSession:
        model = onnx.load(str(path))
        _check_opset(model)
        fixed = _fixed_inputs(model, options.batch)
        graph = TorchGraph(model, {name: torch.from_numpy(array) for name, array in fixed.items()})
        module = graph.module().eval().to(self._device)
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        module = module.half() if self._half else module
        if self._semi_structured:
            make_sparse(module)
        compiled = torch.compile(module, fullgraph=True, dynamic=False) if self._compile else module
        return TorchSession(
            cast("Module", compiled),
            [self._placed(array) for array in fixed.values()],
            list(fixed.values()),
            threads=options.threads,
            cuda_graphs=self._cuda_graphs,
        )

    def _placed(self, array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(array.copy()).to(self._device)
        tensor = tensor.half() if self._half and tensor.is_floating_point() else tensor
        return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def _check_machine(device: str, compile: bool) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        raise MeasureError(
            f"torch: device cuda, but torch {torch.__version__} finds no GPU on this machine; choose device: cpu, or "
            "install the driver and a torch built for CUDA"
        )
    compiler = os.environ.get("CXX", "g++")
    if compile and device == "cpu" and shutil.which(compiler) is None:
        raise MeasureError(
            f"torch: compile needs a C++ compiler, and there is no {compiler} on the path; install g++, name another "
            "compiler in the environment variable CXX, or leave compile out"
        )
    if compile and device == "cuda" and importlib.util.find_spec("triton") is None:
        raise MeasureError("torch: compile needs triton on a GPU; pip install triton, or leave compile out")


def _check_opset(model: onnx.ModelProto) -> None:
    opset = max((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), default=0)
    if opset < OLDEST_OPSET:
        raise MeasureError(f"torch: the model has opset {opset}; export it with opset {OLDEST_OPSET} or newer")
    if not model.graph.output:
        raise MeasureError("torch: the model has no output; export it with at least one")


def _fixed_inputs(model: onnx.ModelProto, batch: int) -> dict[str, np.ndarray]:
    """Input → random values; names with a value in the file are not inputs."""
    given = {item.name for item in model.graph.initializer}
    fixed = {}
    for item in model.graph.input:
        if item.name not in given:
            kind = item.type.tensor_type
            sizes = [size.dim_value if size.HasField("dim_value") else None for size in kind.shape.dim]
            fixed[item.name] = random_input(item.name, sizes, helper.tensor_dtype_to_np_dtype(kind.elem_type), batch)
    return fixed
