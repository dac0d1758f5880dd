"""Opens the timm folder of an exported network. Needs numpy, timm and torch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

try:
    import timm
except RuntimeError:  # torchvision's published library does not load with a CPU build of torch, and lacks two operators
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    import timm


def open_network(folder: Path) -> tuple[Callable[[np.ndarray], np.ndarray], int | None]:
    """Return a function from inputs to outputs, and the number of inputs that it takes at once (None: any)."""
    place = folder.resolve() / "model.timm"
    if not (place / "model.safetensors").is_file():  # timm would look for other files, which may contain code
        raise FileNotFoundError(f"{place} has no model.safetensors")
    network = timm.create_model(f"local-dir:{place}", pretrained=True).eval()

    def run(inputs: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            outputs: np.ndarray = network(torch.from_numpy(inputs)).numpy()
        return outputs

    return run, None
