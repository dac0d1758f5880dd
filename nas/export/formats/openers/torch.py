"""Opens the PyTorch source of an exported network. Needs numpy, torch and safetensors."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch


def load(folder: Path) -> torch.nn.Module:
    """Return the network of the folder's ``model.py``, with its weights."""
    spec = importlib.util.spec_from_file_location("model", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network: torch.nn.Module = module.load()
    return network


def open_network(folder: Path) -> tuple[Callable[[np.ndarray], np.ndarray], int | None]:
    """Return a function from inputs to outputs, and the number of inputs that it takes at once (None: any)."""
    network = load(folder)

    def run(inputs: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            outputs: np.ndarray = network(torch.from_numpy(inputs)).numpy()
        return outputs

    return run, None
