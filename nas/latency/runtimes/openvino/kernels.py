"""OpenVINO on the processor, with native kernels for sparse and depthwise layers."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nas.kernels.build import library_hash
from nas.latency.profiles import Profile
from nas.latency.runtimes import Runtime, Session, SessionOptions
from nas.latency.runtimes.openvino.choice import KernelChooser
from nas.latency.runtimes.openvino.quiet import openvino
from nas.latency.runtimes.openvino.session import open_session, profile, profiling, read, settings_of

#: OpenVINO's profiler gives this type to every operation of a library.
_CUSTOM = "Reference"


class OpenVinoKernels(Runtime):
    """Runs files like ``openvino``, with the project's native kernels for depthwise and sparse 1×1 convolutions.

    A 1×1 convolution or linear layer in fp32 is sparse if it is partly zero, in any pattern; ``block_4x1`` and
    ``nm_*_by_4`` are the fastest. Sparse convolutions of another kernel, such as 3×3, run as on
    ``openvino``.
    The file is an ordinary ONNX file. The kernels are built when they are first needed, which takes seconds. When a
    file is opened for the first time, its whole graph is timed with and without kernels, which takes seconds too; if
    the kernels gain nothing, the file runs as on ``openvino``. Both results are kept in
    ``~/.cache/measured-nas/kernels``. It needs ``apt-get install g++ make`` and ``pip install
    'measured-nas[kernels]'``.

    Studies score files in plain OpenVINO, whose outputs are the same, so that no kernels are timed during trainings.
    """

    formats = frozenset({"onnx"})
    precisions = frozenset({"int4", "int8", "fp16", "fp32"})
    scored_in = "openvino"

    def __init__(self) -> None:
        self._hash = library_hash()
        self._core = openvino.Core()
        self._chooser = KernelChooser(self._core)

    def open(self, path: Path, options: SessionOptions) -> Session:
        """See ``Runtime.open``."""
        return open_session(path, partial(self._load, *self._chosen(path, options), settings_of(options)))

    def version(self) -> str:
        """Version of OpenVINO and of the kernels."""
        return f"{str(openvino.__version__).partition('-')[0]}+{self._hash}"

    def profile(self, path: Path, options: SessionOptions) -> Profile:
        """See ``Runtime.profile``; nodes that are fused into another node have no time of their own."""
        model, fixed = self._chosen(path, options)
        found = profile(path, partial(self._load, model, fixed, profiling(settings_of(options))))
        types = {node.get_friendly_name(): node.get_type_name() for node in model.get_ops()}
        nodes = [replace(node, op=types[node.name]) if node.op == _CUSTOM else node for node in found.nodes]
        return replace(found, nodes=tuple(nodes))

    def ship(self, path: Path, options: SessionOptions, folder: Path) -> None:
        """Write the graph with kernels (``kernels.xml``, ``kernels.bin``) and the library; see ``Runtime.ship``."""
        graph, _ = self._chosen(path, options)
        openvino.save_model(graph, folder / "kernels.xml", compress_to_fp16=False)
        shutil.copy(self._chooser.library, folder / "kernels.so")

    def _chosen(self, path: Path, options: SessionOptions) -> tuple[openvino.Model, list[np.ndarray]]:
        model, fixed = read(self._core, path, options.batch)
        return self._chooser.replaced(model, self._chooser.choose(model, fixed, options)), fixed

    def _load(
        self, model: openvino.Model, fixed: list[np.ndarray], settings: dict[str, Any]
    ) -> tuple[openvino.CompiledModel, list[np.ndarray]]:
        return self._core.compile_model(model, "CPU", settings), fixed
