"""Opens the LiteRT file of an exported network. Needs numpy and ai-edge-litert."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def open_network(folder: Path) -> tuple[Callable[[np.ndarray], np.ndarray], int | None]:
    """Return a function from inputs to outputs, and the number of inputs that it takes at once (None: any)."""
    interpreter = Interpreter(str(folder / "model.tflite"))
    interpreter.allocate_tensors()
    (wanted,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(inputs: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(wanted["index"], inputs)
        interpreter.invoke()
        outputs: np.ndarray = interpreter.get_tensor(found["index"]).copy()
        return outputs

    return run, int(wanted["shape"][0])
