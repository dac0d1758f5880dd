"""The accuracy of an exported network on images of the user."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from trials.export.scripts.run import outputs_of
from trials.export.scripts.verification.lines import Line, line

Run = Callable[[np.ndarray], np.ndarray]


def accuracy_line(run: Run, data: Path, steps: dict[str, Any], scores: dict[str, dict[str, float]]) -> Line:
    """Compare the accuracy on images in ``data/<class>/`` with that on the test split."""
    if "channels" not in steps or not steps["labels"]:
        return line("accuracy", "not judged", "the network does not sort images into classes")
    from nas.tasks.preparation import prepare_file

    inputs, targets = [], []
    for place, label in enumerate(steps["labels"]):
        for path in sorted((data / label).glob("*")):
            try:
                inputs.append(prepare_file(path, steps))
                targets.append(place)
            except Exception:  # files that are not images
                continue
    if not inputs:
        names = ", ".join(steps["labels"][:5])
        return line("accuracy", "not judged", f"{data} holds no images in folders named {names}", "give another --data")
    batch, count = steps["input"]["shape"][0], len(targets)
    stacked, truth = np.concatenate(inputs), np.array(targets)
    found = float((outputs_of(run, stacked, batch).argmax(axis=1) == truth).mean())
    recorded = scores["test"].get("accuracy")
    if recorded is None:
        return line("accuracy", "not judged", f"{found:.4f} on {count} images", "the export has no accuracy")
    margin = 1.96 * np.sqrt(max(recorded * (1 - recorded), 0.25 / count) / count)
    text = f"{found:.4f} on {count} images, {recorded:.4f} on the test split of the export"
    if found >= recorded - margin:
        return line("accuracy", "pass", text)
    reversed_channels = stacked[:, ::-1]
    if stacked.shape[1] == 3:
        swapped = float((outputs_of(run, reversed_channels, batch).argmax(axis=1) == truth).mean())
        if swapped >= recorded - margin:
            return line(
                "accuracy", "fail", text, f"with red and blue exchanged it is {swapped:.4f}: the images are BGR"
            )
    reason = "the images differ from those of the task, or the network or its labels were changed"
    return line("accuracy", "fail", text, reason)
