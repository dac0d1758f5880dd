"""Compares labels, pre-processing and outputs with the golden examples of an exported folder."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from trials.export.scripts.verification.lines import Line, line


def label_lines(arrays: dict[str, np.ndarray], steps: dict[str, Any]) -> Iterator[Line]:
    """Compare the list of labels with the labels of the golden targets."""
    if "labels" not in arrays:
        return
    names = {int(target): str(label) for target, label in zip(arrays["targets"], arrays["labels"], strict=True)}
    labels = steps["labels"]
    wrong = [place for place, name in sorted(names.items()) if place >= len(labels) or labels[place] != name]
    if not wrong:
        yield line("labels", "pass", f"{len(names)} of {len(labels)} labels occur in golden.npz and agree")
        return
    shown = ", ".join(
        f"output {place} is {labels[place] if place < len(labels) else 'missing'!r}, but was {names[place]!r}"
        for place in wrong[:4]
    )
    order = all(name in labels for name in names.values())
    yield line("labels", "fail", shown, f"the list of labels {'is in another order' if order else 'was changed'}")


def input_lines(arrays: dict[str, np.ndarray], steps: dict[str, Any]) -> Iterator[Line]:
    """Prepare the golden pixels and compare the result with the golden inputs."""
    if "pixels" not in arrays:
        return
    try:
        from nas.tasks.preparation import normalized
    except ImportError:
        yield line("pre-processing", "not judged", "Pillow is not installed", "pip install pillow")
        return
    pixels, inputs = arrays["pixels"], arrays["inputs"]
    ordered = pixels[..., ::-1] if steps["channels"] == "BGR" else pixels
    prepared = normalized(ordered, steps)
    if np.array_equal(prepared, inputs):
        yield line("pre-processing", "pass", "golden pixels become the golden inputs, bit by bit")
        return
    found = f"prepared inputs differ by up to {float(np.abs(prepared - inputs).max()):.3g}"
    if steps["channels"] == "BGR" and np.array_equal(normalized(pixels, steps), inputs):
        yield line("pre-processing", "fail", found, "channels is BGR, but the network was trained on RGB")
        return
    reasons = []
    for name, right in zip(("mean", "std"), _normalization(ordered, inputs, steps["divide_by"]), strict=True):
        if np.allclose(steps[name], right, atol=2e-4):
            continue
        if np.allclose(steps[name][::-1], right, atol=2e-4):
            reasons.append(f"{name} is in the order BGR instead of RGB")
        else:
            reasons.append(f"{name} is {_numbers(steps[name])}, but the network was trained with {_numbers(right)}")
    yield line("pre-processing", "fail", found, "; ".join(reasons) or "the steps in preprocessing.json were changed")


def _normalization(pixels: np.ndarray, inputs: np.ndarray, divide_by: float) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel with which pixels become inputs."""
    mean, std = [], []
    for channel in range(pixels.shape[-1]):
        slope, shift = np.polyfit(pixels[..., channel].ravel() / divide_by, inputs[:, channel].ravel(), 1)
        mean.append(float(-shift / slope))
        std.append(float(1 / slope))
    return mean, std


def _numbers(values: Any) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in values) + "]"


def output_line(arrays: dict[str, np.ndarray], outputs: np.ndarray, allowed: float, check: str = "") -> Line:
    """Compare outputs with the golden outputs; ``allowed`` is in standard deviations of the output."""
    expected = arrays["outputs"]
    check = check or f"outputs for {len(expected)} golden inputs"
    if outputs.shape != expected.shape:
        return line(check, "fail", f"their shape is {outputs.shape}, not {expected.shape}", "it is another network")
    difference = float(np.abs(outputs - expected).max()) / max(float(expected.std()), 1e-30)
    found = f"{difference:.2g} standard deviations (allowed: {allowed:g})"
    if difference <= allowed:
        return line(check, "pass", found)
    reason = "a weight or the graph was changed, or the runtime computes something else; see the lines above"
    return line(check, "fail", found, reason)
