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
    """The CPU plugin: one stream of ``threads`` threads, for latency, in the precision the file has.

    Where the file says 32 bits it computes with 32 bits, also on processors with bfloat16; 8 bits stay 8
    bits. Nothing is cached on disk. Threads are bound to cores by whoever measures.
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
        """See ``Runtime.profile``; what was fused into another node has no time of its own."""
        return profile(path, partial(self._load, path, options.batch, profiling(settings_of(options))))

    def _load(
        self, path: Path, batch: int, settings: dict[str, Any]
    ) -> tuple[openvino.CompiledModel, list[np.ndarray]]:
        model, fixed = read(self._core, path, batch)
        return self._core.compile_model(model, "CPU", settings), fixed
