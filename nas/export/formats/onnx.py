"""The ONNX file, with another opset or for any batch size."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import ClassVar

import onnx
from onnx import version_converter

from nas.errors import ExportError
from nas.export import EXPORTERS
from nas.export.formats import Format, FormatOptions, Source
from nas.export.formats.any_batch import with_any_batch
from nas.export.onnx_graph import OPSET
from nas.scratch import Scratch

#: Name of the measured file in an exported folder.
MEASURED = "model.onnx"
#: The newest opset of the installed onnx.
NEWEST_OPSET = onnx.defs.onnx_opset_version()


class Onnx(Format):
    """``model.onnx``, the file that was measured. It holds 4, 8, 16 and 32 bits, and zeros.

    With ``--opset`` or ``--dynamic-batch``, a second file is written, such as ``model.opset21.dynamic.onnx``: the same
    graph in another opset (18 or newer), or for any number of inputs at once.
    """

    requires: ClassVar[dict[str, str]] = {"onnxruntime": "onnxruntime"}
    opener = "nas.export.formats.openers.onnx"

    def check(self, source: Source) -> None:
        """See ``Format.check``.

        Raises:
            ExportError: the opset is older than that of the measured file, or newer than the installed onnx knows.
        """
        opset, own = source.options.opset, source.artifact.record["opset"]
        if opset is not None and not own <= opset <= NEWEST_OPSET:
            raise ExportError(
                f"format 'onnx': opset {opset}; this network can be written in opset {own} to {NEWEST_OPSET}"
            )

    def write(self, source: Source, folder: Path) -> list[Path]:
        """See ``Format.write``."""
        options = source.options
        if options == FormatOptions():
            return [_copied(source.artifact.path, folder / MEASURED)]
        model, name = measured_or_dynamic(source), "model"
        if options.opset is not None:
            model = _in_opset(model, options.opset)
            name += f".opset{options.opset}"
        if options.dynamic_batch:
            name += ".dynamic"
        path = folder / f"{name}.onnx"
        onnx.save(model, str(path))
        return [path]


def _copied(measured: Path, path: Path) -> Path:
    if not path.exists() or not path.samefile(measured):
        shutil.copyfile(measured, path)
    return path


def _in_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    try:
        return version_converter.convert_version(model, opset)
    except Exception as error:  # the converter has no error class of its own
        raise ExportError(
            f"format 'onnx': onnx {onnx.__version__} can't convert this network to opset {opset}: {error}; choose "
            f"another opset, such as {OPSET}"
        ) from error


def measured_or_dynamic(source: Source) -> onnx.ModelProto:
    """The measured file; with ``dynamic_batch``, the same graph for any batch size."""
    model = onnx.load(str(source.artifact.path))
    if not source.options.dynamic_batch:
        return model
    batch, *item = source.artifact.input_shape
    with Scratch("nas-batch-") as folder:
        path = Path(folder) / "other.onnx"
        calibration = source.calibration if source.fewest_bits == 8 else source.calibration[: 2 * (batch + 1)]
        exporter = EXPORTERS.get("onnx")()
        exporter.export(source.network, path, input_shape=(batch + 1, *item), calibration=calibration)
        return with_any_batch(model, onnx.load(str(path)))
