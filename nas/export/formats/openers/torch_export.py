"""Opens the torch.export file of an exported network. Needs numpy and torch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch


def open_network(folder: Path) -> tuple[Callable[[np.ndarray], np.ndarray], int | None]:
    """Return a function from inputs to outputs, and the number of inputs that it takes at once (None: any)."""
    program = torch.export.load(folder / "model.pt2")
    network = program.module()
    name = program.graph_signature.user_inputs[0]
    size = next(node.meta["val"].shape[0] for node in program.graph.nodes if node.name == name)

    def run(inputs: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            outputs: np.ndarray = network(torch.from_numpy(inputs)).numpy()
        return outputs

    return run, size if isinstance(size, int) else None
