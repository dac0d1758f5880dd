"""OpenVINO's own files."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import onnx

from nas.errors import ExportError
from nas.export.formats import Format, Source
from nas.export.formats.onnx import measured_or_dynamic
from nas.latency.runtimes import RUNTIMES, SessionOptions
from nas.scratch import Scratch


class OpenVino(Format):
    """``model.xml`` and ``model.bin``: OpenVINO's intermediate representation.

    It holds weights of 4, 8, 16 and 32 bits, and zeros.

    A network that was measured with the project's kernels (runtime ``openvino_kernels``) is written with them, and
    ``kernels.so`` holds them for this kind of processor.
    """

    requires: ClassVar[dict[str, str]] = {"openvino": "openvino"}
    opener = "nas.export.formats.openers.openvino"

    def check(self, source: Source) -> None:
        """See ``Format.check``.

        Raises:
            ExportError: a batch of any size is wanted of a graph with kernels, which are chosen for one batch size.
        """
        if source.options.dynamic_batch and source.runtime == "openvino_kernels":
            raise ExportError(
                "format 'openvino': kernels are chosen for one batch size; leave out --dynamic-batch, or export a "
                "trial of a target with the runtime openvino"
            )

    def runs_code(self, folder: Path) -> bool:
        """See ``Format.runs_code``; kernels are a library."""
        return (folder / "kernels.so").exists()

    def write(self, source: Source, folder: Path) -> list[Path]:
        """See ``Format.write``."""
        if source.runtime == "openvino_kernels":
            return _write_with_kernels(source, folder)
        from nas.latency.runtimes.openvino.quiet import openvino

        with Scratch("nas-openvino-") as made:
            path = Path(made) / "model.onnx"
            onnx.save(measured_or_dynamic(source), str(path))
            openvino.save_model(openvino.convert_model(path), folder / "model.xml", compress_to_fp16=False)
        return [folder / "model.xml", folder / "model.bin"]


def _write_with_kernels(source: Source, folder: Path) -> list[Path]:
    runtime = RUNTIMES.get(source.runtime)()
    options = SessionOptions(source.threads, source.artifact.input_shape[0])
    names = {"kernels.xml": "model.xml", "kernels.bin": "model.bin", "kernels.so": "kernels.so"}
    with Scratch("nas-kernels-") as made:
        runtime.ship(source.artifact.path, options, Path(made))
        for name, wanted in names.items():
            (folder / wanted).write_bytes((Path(made) / name).read_bytes())
    return [folder / wanted for wanted in names.values()]
