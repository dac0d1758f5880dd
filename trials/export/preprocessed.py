"""``model_with_preprocessing.onnx``: the exported network with 8-bit images as its input."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from nas.export import Artifact
from nas.export.checking.evaluate import run_batches
from nas.export.preprocessed import with_preprocessing
from nas.latency.runtimes import RUNTIMES, SessionOptions
from trials.export.verification.verdicts import Line, judged

PREPROCESSED = "model_with_preprocessing.onnx"


def write_preprocessed(
    artifact: Artifact, steps: Mapping[str, Any], folder: Path, *, runtime: str, tolerance: float
) -> Line:
    """Write the file, and compare its outputs for the golden pixels with the golden outputs.

    Args:
        artifact: the file that was measured.
        steps: content of ``preprocessing.json``.
        folder: the exported folder, which contains ``golden.npz``.
        runtime: name of the runtime to compare in.
        tolerance: largest difference that counts as equal, in standard deviations of the outputs.
    """
    path = folder / PREPROCESSED
    onnx.save(with_preprocessing(onnx.load(str(artifact.path)), steps), str(path))
    with np.load(folder / "golden.npz") as golden:
        if "pixels" not in golden:
            return Line(PREPROCESSED, "not judged", "golden.npz has no pixels", "its inputs are not normalized pixels")
        pixels, expected = golden["pixels"], golden["outputs"]
    session = RUNTIMES.get(runtime)().open(path, SessionOptions(batch=len(pixels)))
    try:
        found = run_batches(session, pixels)
    finally:
        session.close()
    difference = float(np.abs(found - expected).max()) / max(float(expected.std()), 1e-30)
    return judged(
        PREPROCESSED,
        f"{difference:.2g} standard deviations from the golden outputs (allowed: {tolerance:g})",
        agrees=difference <= tolerance,
        reason="the normalization in the file is wrong",
    )
