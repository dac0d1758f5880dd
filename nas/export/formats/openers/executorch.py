"""Opens the ExecuTorch file of an exported network. Needs numpy, torch and executorch."""

from collections.abc import Callable
from pathlib import Path

import executorch.kernels.quantized  # noqa: F401  it registers operators
import numpy as np
import torch
from executorch.runtime import Runtime


def open_network(folder: Path) -> tuple[Callable[[np.ndarray], np.ndarray], int | None]:
    """Return a function from inputs to outputs, and the number of inputs that it takes at once (None: any)."""
    program = Runtime.get().load_program(str(folder / "model.pte"))
    method = program.load_method("forward")
    size = method.metadata.input_tensor_meta(0).sizes()[0]

    def run(inputs: np.ndarray) -> np.ndarray:
        outputs: np.ndarray = method.execute([torch.from_numpy(inputs)])[0].numpy().copy()
        return outputs

    run.program = program  # type: ignore[attr-defined]  # the method reads from it
    return run, size
