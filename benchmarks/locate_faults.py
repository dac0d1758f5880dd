"""How often a fault in an exported graph is located at the right operator.

    python benchmarks/locate_faults.py

Networks of several spaces and precisions are exported. In each file, faults are planted at random operators: wrong
pads, strides, scales or zero points, swapped inputs, missing biases and others. A fault counts only if it changes the
outputs by more than the tolerance of an export. ``nas.export.checking.locate`` then compares the file with a correct
one.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper

from nas.export.checking.check import TOLERANCE
from nas.export.checking.locate import locate
from nas.export.onnx import OnnxExporter
from nas.export.seeding import seed_weights
from nas.space.chooser import RandomChooser
from trials.plans.plan import make_plan
from trials.plans.problem import open_problem

SPACES = ("plain_convnet", "sparse_convnet", "large_kernel")
PRECISIONS = ("fp32", "int8", "fp16")
#: Faults per file, so that nine files have 36.
PER_FILE = 4
SHAPE = (1, 3, 32, 32)


class Planted(NamedTuple):
    """A fault in a file."""

    space: str
    precision: str
    fault: str
    node: str
    found: str
    sentence: str


def attribute(node: Any, name: str) -> Any:
    return next((item for item in node.attribute if item.name == name), None)


def constant(model: onnx.ModelProto, name: str) -> np.ndarray | None:
    item = next((item for item in model.graph.initializer if item.name == name), None)
    return None if item is None else numpy_helper.to_array(item)


def replace(model: onnx.ModelProto, node: Any, place: int, change: Callable[[np.ndarray], np.ndarray]) -> bool:
    """Give one operator another constant; others that use the same constant keep it."""
    array = constant(model, node.input[place]) if len(node.input) > place else None
    if array is None or array.size == 0:
        return False
    name = f"{node.input[place]}.planted"
    changed = np.asarray(change(array.copy()), dtype=array.dtype).reshape(array.shape)
    model.graph.initializer.append(numpy_helper.from_array(changed, name))
    node.input[place] = name
    return True


def wrong_pad(model: onnx.ModelProto, node: Any) -> bool:
    pads = attribute(node, "pads")
    if node.op_type != "Conv" or pads is None or not any(pads.ints):
        return False
    half = len(pads.ints) // 2
    sums = [pads.ints[place] + pads.ints[place + half] for place in range(half)]
    pads.ints[:] = [0] * half + sums
    return True


def wrong_stride(model: onnx.ModelProto, node: Any) -> bool:
    strides = attribute(node, "strides")
    if node.op_type != "Conv" or strides is None:
        return False
    strides.ints[:] = [3 - value if value in (1, 2) else 1 for value in strides.ints]
    return True


def missing_bias(model: onnx.ModelProto, node: Any) -> bool:
    if node.op_type not in ("Conv", "Gemm") or len(node.input) < 3:
        return False
    del node.input[2:]
    return True


def wrong_scale(model: onnx.ModelProto, node: Any) -> bool:
    return node.op_type in ("QuantizeLinear", "DequantizeLinear") and replace(model, node, 1, lambda scale: scale * 1.3)


def wrong_zero_point(model: onnx.ModelProto, node: Any) -> bool:
    return node.op_type == "QuantizeLinear" and replace(model, node, 2, lambda zero: (zero.astype(int) + 40) % 200)


def changed_weight(model: onnx.ModelProto, node: Any) -> bool:
    def change(weight: np.ndarray) -> np.ndarray:
        weight.flat[int(np.abs(weight.astype(np.float32)).argmax())] *= -1
        return weight

    kinds = ("Conv", "Gemm", "MatMul", "DequantizeLinear", "Cast")
    return node.op_type in kinds and replace(model, node, 0 if node.op_type in kinds[3:] else 1, change)


def mirrored_kernel(model: onnx.ModelProto, node: Any) -> bool:
    weight = constant(model, node.input[1]) if node.op_type == "Conv" else None
    return weight is not None and weight.shape[-1] > 1 and replace(model, node, 1, lambda array: array[..., ::-1])


def swapped_inputs(model: onnx.ModelProto, node: Any) -> bool:
    if node.op_type not in ("Sub", "Div", "Concat", "MatMul") or len(node.input) < 2:
        return False
    node.input[0], node.input[1] = node.input[1], node.input[0]
    return True


def skipped_input(model: onnx.ModelProto, node: Any) -> bool:
    if node.op_type not in ("Add", "Mul") or node.input[0] == node.input[1]:
        return False
    node.input[1] = node.input[0]
    return True


def other_activation(model: onnx.ModelProto, node: Any) -> bool:
    kinds = {
        "Relu": "Abs",
        "Sigmoid": "Tanh",
        "HardSwish": "Relu",
        "HardSigmoid": "Sigmoid",
        "Gelu": "Relu",
        "Erf": "Tanh",
    }
    if node.op_type not in kinds:
        return False
    node.op_type = kinds[node.op_type]
    del node.attribute[:]
    return True


FAULTS = (
    wrong_pad,
    wrong_stride,
    missing_bias,
    wrong_scale,
    wrong_zero_point,
    changed_weight,
    mirrored_kernel,
    swapped_inputs,
    skipped_input,
    other_activation,
)


def outputs(model: onnx.ModelProto, inputs: np.ndarray) -> np.ndarray | None:
    """Outputs of a file; None if the runtime refuses it, which anyone notices."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), settings)
        return np.asarray(session.run(None, {"input": inputs})[0])
    except Exception:
        return None


def exported(space: str, precision: str, folder: Path) -> Path:
    """A trained-like network of a space, exported in a precision."""
    plan = make_plan(
        {
            "task": {"name": "shapes", "image_size": 32, "num_train": 64, "num_validation": 8, "num_test": 8},
            "space": {"name": space},
            "policies": [{"name": "precision", "options": [precision]}],
        }
    )
    problem = open_problem(plan)
    sampled = problem.searched.sample(RandomChooser(3))
    network = problem.searched.build(sampled.architecture, 0)
    seed_weights(network, SHAPE, space)
    network.finalize()
    data = problem.task.dataset("train")
    calibration = torch.stack([data[index][0] for index in range(64)])
    path = folder / f"{space}-{precision}.onnx"
    OnnxExporter().export(network, path, input_shape=SHAPE, calibration=calibration)
    return path


def planted(path: Path, inputs: np.ndarray, rng: random.Random, count: int) -> Iterator[tuple[str, str, Path]]:
    """Write copies of a file with one fault each; yields the fault, its operator and the file."""
    correct = onnx.load(str(path))
    expected = outputs(correct, inputs)
    assert expected is not None
    faults, made = list(FAULTS), 0
    rng.shuffle(faults)
    for plant in faults * 2:
        places = list(range(len(correct.graph.node)))
        rng.shuffle(places)
        for place in places:
            model = onnx.ModelProto()
            model.CopyFrom(correct)
            node = model.graph.node[place]
            if not plant(model, node):
                continue
            found = outputs(model, inputs)
            if found is not None and float(np.abs(found - expected).max()) <= TOLERANCE * float(expected.std()):
                continue
            broken = path.with_name(f"{path.stem}-{made}.onnx")
            onnx.save(model, str(broken))
            yield plant.__name__.replace("_", " "), node.name, broken
            made += 1
            break
        if made == count:
            return


def run(per_file: int, spaces: tuple[str, ...] = SPACES) -> Iterator[Planted]:
    """Plant faults and locate them."""
    inputs = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        for space in spaces:
            for precision in PRECISIONS:
                path = exported(space, precision, Path(folder))
                rng = random.Random(f"{space} {precision}")
                for fault, node, broken in planted(path, inputs, rng, per_file):
                    found = locate(broken, path, inputs)
                    name, sentence = ("", "") if found is None else (found.node, found.sentence)
                    yield Planted(space, precision, fault, node, name, sentence)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-file", type=int, default=PER_FILE, help="faults in each of the nine files")
    right = total = 0
    print(f"{'space':16}{'bits':6}{'fault':18}{'right':7}located")
    for item in run(parser.parse_args().per_file):
        is_right = item.node == item.found
        right, total = right + is_right, total + 1
        where = item.sentence.removeprefix("The first operator that differs is ")
        print(
            f"{item.space:16}{item.precision:6}{item.fault:18}{'yes' if is_right else 'NO':7}{where[:150]}", flush=True
        )
        if not is_right:
            print(f"{'':47}planted at {item.node}")
    print(f"{right} of {total} faults are located at the right operator")


if __name__ == "__main__":
    main()
