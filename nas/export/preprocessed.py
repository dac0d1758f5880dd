"""A file that normalizes images itself: 8-bit pixels go in, and the network's outputs come out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from nas.errors import ExportError

#: Name of the input, ``(N, H, W, C)`` uint8.
IMAGE = "image"


def check_preprocessing(steps: Mapping[str, Any]) -> None:
    """Check that a file can normalize images.

    Raises:
        ExportError: inputs are not made from images.
    """
    if "mean" not in steps:
        raise ExportError(
            "--with-preprocessing: the task does not say how an image becomes an input; leave the option out"
        )


def with_preprocessing(model: onnx.ModelProto, steps: Mapping[str, Any]) -> onnx.ModelProto:
    """Return a copy of a file in which images are normalized before the network.

    Its input ``image`` is ``(N, H, W, C)`` uint8 of the network's size. Images are resized and cropped before, because
    no setting of ONNX's operator Resize gives the pixels that Pillow gives: on noise, some of them differ by 9 of 255.

    Args:
        model: a file with the input ``input``, ``(N, C, H, W)`` float32.
        steps: content of ``preprocessing.json``.

    Raises:
        ExportError: inputs are not made from images.
    """
    check_preprocessing(steps)
    batch, channels, height, width = steps["input"]["shape"]
    mean, std = (np.array(steps[name], dtype=np.float32).reshape(1, -1, 1, 1) for name in ("mean", "std"))
    scale, shift = np.float32(1) / (np.float32(steps["divide_by"]) * std), -mean / std
    nodes = [
        helper.make_node("Transpose", [IMAGE], ["image/channels_first"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["image/channels_first"], ["image/floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["image/floats", "image/scale"], ["image/scaled"]),
        helper.make_node("Add", ["image/scaled", "image/shift"], ["image/prepared"]),
    ]
    before = helper.make_model(
        helper.make_graph(
            nodes,
            "preprocessing",
            [helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, [batch, height, width, channels])],
            [helper.make_tensor_value_info("image/prepared", TensorProto.FLOAT, [batch, channels, height, width])],
            [numpy_helper.from_array(scale, "image/scale"), numpy_helper.from_array(shift, "image/shift")],
        ),
        opset_imports=list(model.opset_import),
        ir_version=model.ir_version,
    )
    return compose.merge_models(before, model, io_map=[("image/prepared", "input")])
