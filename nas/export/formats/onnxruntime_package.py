"""ONNX Runtime's own package of a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import onnx
import onnxruntime

from nas.errors import ExportError
from nas.export.formats import Format, Source
from nas.export.formats.onnx import measured_or_dynamic

#: Folder in an exported folder, component in the package, and variant of the component.
FOLDER, COMPONENT, VARIANT = "model.ortpackage", "network", "cpu"


class OnnxRuntimePackage(Format):
    """``model.ortpackage``: a folder that ONNX Runtime opens with ``ModelPackageContext``.

    It contains the measured file as the variant for the processor, with the number of threads with which it was
    measured, in 4, 8, 16 and 32 bits, and with zeros. ONNX Runtime chooses among variants by provider and device only,
    so a package can't hold several precisions for one processor. The interface is experimental and needs onnxruntime
    1.32.
    """

    requires: ClassVar[dict[str, str]] = {"onnxruntime": "onnxruntime"}
    opener = "nas.export.formats.openers.onnxruntime_package"

    def check(self, source: Source) -> None:
        """See ``Format.check``.

        Raises:
            ExportError: the installed onnxruntime has no packages.
        """
        if not hasattr(onnxruntime, "ModelPackage"):
            raise ExportError(
                f"format 'onnxruntime-package': onnxruntime {onnxruntime.__version__} has no packages; install 1.32"
            )

    def write(self, source: Source, folder: Path) -> list[Path]:
        """See ``Format.write``."""
        package = folder / FOLDER
        model, manifest = package / VARIANT / "model.onnx", package / "manifest.json"
        model.parent.mkdir(parents=True)
        onnx.save(measured_or_dynamic(source), str(model))
        manifest.write_text(json.dumps(_manifest(source), indent=2), encoding="utf-8")
        onnxruntime.ModelPackage.open(str(package)).close()  # it checks the package
        return [manifest, model]


def _manifest(source: Source) -> dict[str, object]:
    info = {"model_file": "model.onnx", "session_options": {"session.intra_op_num_threads": str(source.threads)}}
    variant = {
        "variant_directory": VARIANT,
        "ep": "CPUExecutionProvider",
        "device": "cpu",
        "executor_info": {"ort": info},
    }
    return {"schema_version": "1.0", "components": {COMPONENT: {"variants": {VARIANT: variant}}}}
