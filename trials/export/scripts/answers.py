"""The part of ``run.py`` that reads inputs and prints a network's answers; its text is copied into that file."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np


def answer(run: Callable[[np.ndarray], np.ndarray], shape: Sequence[int], folder: Path) -> None:
    """Print a network's answers to the file that the command line names, or to the samples in the folder.

    ``run`` takes float32 inputs of ``shape``, ``(batch, channels, height, width)``.
    """
    wanted = f"float32 of shape (N, {', '.join(map(str, shape[1:]))}), prepared as about.json says"
    if {"-h", "--help"} & set(sys.argv[1:]):
        print("usage: python run.py [inputs.npy]")
        print(f"Prints answers to the inputs in a file that numpy.save wrote, {wanted}; default: samples.npz.")
        return
    if len(sys.argv) > 2:
        sys.exit(f"one file at a time: python run.py inputs.npy; got {len(sys.argv) - 1} arguments")
    targets = None
    if len(sys.argv) == 2:
        inputs = _checked(_loaded(sys.argv[1], wanted), tuple(shape[1:]), wanted)
    else:
        samples = np.load(folder / "samples.npz")
        inputs, targets = samples["inputs"], samples["targets"]
    outputs = []
    for start in range(0, len(inputs), shape[0]):
        part = inputs[start : start + shape[0]]
        filling = np.repeat(part[-1:], shape[0] - len(part), axis=0)
        outputs.append(run(np.concatenate([part, filling]))[: len(part)])
    answers = np.concatenate(outputs).argmax(axis=1)
    print("answers:", answers.tolist())
    about = json.loads((folder / "about.json").read_text()) if (folder / "about.json").exists() else {}
    if about.get("classes") and answers.ndim == 1:
        print("classes:", ", ".join(about["classes"][item] for item in answers))
    if targets is not None:
        right = answers == targets
        print(f"right:   {right.sum()} of {right.size} in samples.npz, drawn evenly from the classes of the test split")
        for split, scores in about.get("scores", {}).items():
            print(f"{split}:", ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))


def _loaded(path: str, wanted: str) -> np.ndarray:
    try:
        inputs = np.load(path, allow_pickle=False)
    except OSError as error:
        sys.exit(f"{path} can't be read: {error.strerror or error}")
    except (ValueError, EOFError):
        sys.exit(f"{path} is not an array of numbers that numpy.save wrote (.npy); allowed: {wanted}")
    if not isinstance(inputs, np.ndarray):
        sys.exit(f"{path} holds several arrays; save one, with numpy.save")
    return inputs


def _checked(inputs: np.ndarray, item: tuple[int, ...], wanted: str) -> np.ndarray:
    if inputs.shape[1:] != item or len(inputs) == 0:
        hint = "; one input is inputs[None]" if inputs.shape == item else ""
        sys.exit(f"inputs of shape {inputs.shape}; allowed: {wanted}{hint}")
    if inputs.dtype.kind != "f":
        sys.exit(f"inputs of type {inputs.dtype}; allowed: {wanted}")
    if not np.isfinite(inputs).all():
        sys.exit(f"inputs that are not finite numbers; allowed: {wanted}")
    return inputs.astype(np.float32)
