"""OpenVINO on the processor."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nas.latency.profiles import Profile
from nas.latency.runtimes import Runtime, Session, SessionOptions
from nas.latency.runtimes.openvino.quiet import openvino
from nas.latency.runtimes.openvino.session import open_session, profile, profiling, read, settings_of


class OpenVino(Runtime):
    """OpenVINO's CPU plugin with one stream of ``threads`` threads, for latency.

    Layers in 32 bits are computed in 32 bits, never in bfloat16, and layers in 8 bits stay in 8 bits. Nothing is cached
    on disk, and there is no telemetry. It needs ``pip install 'measured-nas[openvino]'``. See
    ``docs/how-to/runtime.md``.
    """

    formats = frozenset({"onnx"})
    precisions = frozenset({"int4", "int8", "fp16", "fp32"})

    def __init__(self) -> None:
        self._core = openvino.Core()

    def open(self, path: Path, options: SessionOptions) -> Session:
        """See ``Runtime.open``."""
        return open_session(path, partial(self._load, path, options.batch, settings_of(options)))

    def version(self) -> str:
        """Version of the installed package."""
        return str(openvino.__version__).partition("-")[0]

    def profile(self, path: Path, options: SessionOptions) -> Profile:
        """See ``Runtime.profile``; nodes that are fused into another node have no time of their own."""
        return profile(path, partial(self._load, path, options.batch, profiling(settings_of(options))))

    def _load(
        self, path: Path, batch: int, settings: dict[str, Any]
    ) -> tuple[openvino.CompiledModel, list[np.ndarray]]:
        model, fixed = read(self._core, path, batch)
        return self._core.compile_model(model, "CPU", settings), fixed
