"""Run the exported network on image files, or on prepared inputs.

python run.py                    answers to the golden inputs, beside their targets
python run.py image.jpg …        answers to images, prepared as preprocessing.json says; needs Pillow
python run.py inputs.npy         answers to float32 inputs that are prepared already

Needs numpy and the runtime that requirements.txt names.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent
if not __package__:  # a copy in an exported folder, which imports what lies beside it
    sys.path.insert(0, str(FOLDER))

Run = Callable[[np.ndarray], np.ndarray]


def main(arguments: Sequence[str]) -> None:
    """Print the network's answers to the files that the command line names, or to the golden inputs."""
    if {"-h", "--help"} & set(arguments):
        print(__doc__.strip())
        return
    try:
        from trials.export.scripts.network_onnxruntime import open_network
    except ImportError as error:
        sys.exit(f"the runtime of the network can't be imported ({error}): pip install -r requirements.txt")
    steps = json.loads((FOLDER / "preprocessing.json").read_text(encoding="utf-8"))
    targets = None
    if arguments:
        inputs = _read(arguments, steps)
    else:
        with np.load(FOLDER / "golden.npz") as golden:
            inputs, targets = golden["inputs"], golden["targets"]
    answers = outputs_of(open_network(FOLDER), inputs, steps["input"]["shape"][0]).argmax(axis=1)
    print("answers:", answers.tolist())
    if steps["labels"] and answers.ndim == 1:
        print("classes:", ", ".join(steps["labels"][item] for item in answers))
    if targets is not None:
        right = answers == targets
        print(f"right:   {right.sum()} of {right.size} in golden.npz, drawn evenly from the classes of the test split")
        for split, scores in json.loads((FOLDER / "report.json").read_text(encoding="utf-8"))["scores"].items():
            print(f"{split}:", ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))


def outputs_of(run: Run, inputs: np.ndarray, batch: int) -> np.ndarray:
    """Outputs for any number of inputs, computed in batches of the network's size."""
    outputs = []
    for start in range(0, len(inputs), batch):
        part = inputs[start : start + batch]
        filling = np.repeat(part[-1:], batch - len(part), axis=0)
        outputs.append(run(np.concatenate([part, filling]))[: len(part)])
    return np.concatenate(outputs)


def _read(paths: Sequence[str], steps: dict[str, Any]) -> np.ndarray:
    item = tuple(steps["input"]["shape"][1:])
    wanted = f"float32 of shape (N, {', '.join(map(str, item))}), prepared as preprocessing.json says"
    if "channels" not in steps:
        wanted += " (this network's inputs are not made from image files)"
    if len(paths) == 1 and ("channels" not in steps or Path(paths[0]).suffix.lower() in ("", ".npy")):
        return _checked(_loaded(paths[0], wanted), item, wanted)
    if "channels" not in steps:
        sys.exit(f"one file at a time: python run.py inputs.npy; got {len(paths)} arguments")
    try:
        from nas.tasks.preparation import prepare_file
    except ImportError as error:
        sys.exit(f"images need Pillow ({error}): pip install pillow; or give inputs.npy, {wanted}")
    inputs = []
    for path in paths:
        try:
            inputs.append(prepare_file(path, steps))
        except Exception as error:  # decoders raise errors of every kind on damaged files
            sys.exit(f"{path} can't be read as an image: {getattr(error, 'strerror', None) or error}")
        if inputs[-1].shape[1:] != item:
            sys.exit(f"{path} becomes an input of shape {inputs[-1].shape[1:]}; the network takes {item}")
    return np.concatenate(inputs)


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


if __name__ == "__main__":
    main(sys.argv[1:])
