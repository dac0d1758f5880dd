"""Work that operations take over from their neighbours: scales, means, and the sparse layer before a depthwise one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.kernels.library import METHODS, Method
from nas.latency.runtimes.openvino.graph_pass import Setting, kernel_layers, prepare
from nas.latency.runtimes.openvino.quiet import openvino
from nas.latency.runtimes.openvino.replacement import replace

ops = openvino.opset13
INPUTS, CHANNELS, SIZE = 6, 37, 19
RANDOM = np.random.default_rng(0)


def numbers(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def pointwise(x: Any, outputs: int, inputs: int, name: str) -> Any:
    values = numbers(outputs, inputs, 1, 1) * (RANDOM.random((outputs, inputs, 1, 1)) < 0.4)
    found = ops.convolution(x, values.astype(np.float32), [1, 1], [0, 0], [0, 0], [1, 1])
    found.set_friendly_name(name)
    return ops.clamp(ops.add(found, numbers(1, outputs, 1, 1)), 0.0, 6.0)


def depthwise(x: Any, kernel: int, stride: int) -> Any:
    pads = [kernel // 2] * 2
    weight = numbers(CHANNELS, 1, 1, kernel, kernel) / np.float32(kernel)
    found = ops.group_convolution(x, weight, [stride] * 2, pads, pads, [1, 1])
    found.set_friendly_name("depthwise")
    return ops.relu(ops.add(found, numbers(1, CHANNELS, 1, 1)))


def excited(x: Any, *, keep_dims: bool = True) -> Any:
    """An image scaled by the result of layers on its channel means."""
    mean = ops.reduce_mean(x, np.array([2, 3]), keep_dims)
    mean = mean if keep_dims else ops.reshape(mean, np.array([0, 0, 1, 1]), True)
    return ops.multiply(x, ops.sigmoid(mean))


def check(build: Callable[[Any], Any], batch: int, setting: Setting, library: Path) -> Counter[str]:
    """Replace all layers that kernels support, check that the answer stays the same, and return the operations of the
    graph.
    """
    return Counter(node.get_type_name() for node in replaced(build, batch, setting, library).get_ops())


def replaced(build: Callable[[Any], Any], batch: int, setting: Setting, library: Path) -> Any:
    """The graph with all supported layers replaced, after a check that the answer stays the same."""
    x = ops.parameter([batch, INPUTS, SIZE, SIZE], np.float32)
    end = build(x)
    end.output(0).set_names({"answer"})
    graph = openvino.Model([end], [x])
    prepare(graph)
    image, core = numbers(batch, INPUTS, SIZE, SIZE), openvino.Core()
    core.add_extension(library)
    settings = {openvino.properties.hint.inference_precision(): openvino.Type.f32}
    expected = np.array(core.compile_model(graph.clone(), "CPU", settings)(image)["answer"])
    replace(graph, {item.name: setting for item in kernel_layers(graph)}, library)
    for threads in (1, 3):
        settings[openvino.properties.inference_num_threads()] = threads
        found = np.array(core.compile_model(graph, "CPU", settings)(image)["answer"])
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    return graph


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize(("kernel", "stride", "method"), [(3, 1, "pixels"), (5, 2, "channels"), (13, 1, "fourier")])
def test_a_block_is_two_operations(
    kernel: int, stride: int, method: Method, rows: int, batch: int, library: Path
) -> None:
    def block(x: Any) -> Any:
        hidden = depthwise(pointwise(x, CHANNELS, INPUTS, "expand"), kernel, stride)
        return pointwise(excited(hidden), 9, CHANNELS, "project")

    found = check(block, batch, Setting(rows=rows, method=method), library)
    assert (found["DepthwiseConvolution"], found["SparseConvolution"]) == (1, 1)
    assert not found["Multiply"] + found["ReduceMean"] + found["Convolution"] + found["GroupConvolution"]


def test_values_with_several_readers_are_still_computed(library: Path) -> None:
    def shortcut(x: Any) -> Any:
        hidden = pointwise(x, CHANNELS, INPUTS, "expand")
        return ops.add(hidden, depthwise(hidden, 3, 1))

    found = check(shortcut, 1, Setting(), library)
    assert (found["DepthwiseConvolution"], found["SparseConvolution"]) == (1, 1)


def test_a_scaled_image_that_others_read_too_is_scaled_for_them(library: Path) -> None:
    def shortcut(x: Any) -> Any:
        hidden = excited(depthwise(pointwise(x, CHANNELS, INPUTS, "expand"), 3, 1))
        return ops.add(hidden, pointwise(hidden, CHANNELS, CHANNELS, "project"))

    assert check(shortcut, 1, Setting(), library)["Multiply"] == 1


def test_scales_of_pixels_are_none_of_channels(library: Path) -> None:
    def attended(x: Any) -> Any:
        return pointwise(ops.multiply(x, ops.softmax(ops.reduce_mean(x, np.array([1]), True), 3)), 9, INPUTS, "project")

    assert check(attended, 2, Setting(), library)["Multiply"] == 1


@pytest.mark.parametrize(
    ("axes", "keep_dims"), [([2, 3], False), ([-1, -2], True), ([2], True), ([1, 2, 3], True)], ids=str
)
def test_means_of_channels_alone_come_with_them(axes: list[int], keep_dims: bool, library: Path) -> None:
    def pooled(x: Any) -> Any:
        return ops.reduce_mean(depthwise(pointwise(x, CHANNELS, INPUTS, "expand"), 3, 1), np.array(axes), keep_dims)

    is_mean = keep_dims and {axis % 4 for axis in axes} == {2, 3}
    assert check(pooled, 2, Setting(), library)["ReduceMean"] == (not is_mean)


def test_an_image_multiplied_by_itself_has_no_scales(library: Path) -> None:
    assert check(lambda x: pointwise(ops.multiply(x, x), 9, INPUTS, "project"), 1, Setting(), library)["Multiply"] == 1


def test_images_of_linear_layers_have_their_channels_last(library: Path) -> None:
    """The channels of linear layers are last, so there are no scales of channels, and a depthwise layer can't include
    them.
    """
    values = numbers(CHANNELS, SIZE) * (RANDOM.random((CHANNELS, SIZE)) < 0.4)

    def linear(x: Any) -> Any:
        hidden = ops.matmul(excited(x), values.astype(np.float32), False, True)
        found = ops.group_convolution(hidden, numbers(INPUTS, 1, 1, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])
        found.set_friendly_name("depthwise")
        return found

    found = check(linear, 2, Setting(), library)
    assert (found["SparseConvolution"], found["DepthwiseConvolution"], found["Multiply"]) == (1, 1, 1)


def test_one_pixel_is_scaled_by_what_is_beside_it(library: Path) -> None:
    """One image of one pixel times another: either could hold the scales."""

    def scaled(x: Any) -> Any:
        whole = ops.group_convolution(x, numbers(INPUTS, 1, 1, SIZE, SIZE), [1, 1], [0, 0], [0, 0], [1, 1])
        whole.set_friendly_name("depthwise")
        return dense(ops.multiply(ops.sigmoid(ops.reduce_max(x, np.array([2, 3]), True)), whole), 9, INPUTS)

    check(scaled, 2, Setting(method="channels"), library)


def dense(x: Any, outputs: int, inputs: int) -> Any:
    """A layer that no kernel supports."""
    return ops.convolution(x, numbers(outputs, inputs, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1])


def normalized(x: Any) -> Any:
    """A normalization over each pixel's channels, with channels last meanwhile."""
    last = ops.transpose(x, np.array([0, 2, 3, 1]))
    return ops.transpose(ops.mvn(last, np.array([3]), True, 1e-5, "inside_sqrt"), np.array([0, 3, 1, 2]))


BEFORE: dict[str, Callable[[Any], Any]] = {
    "convolution": lambda x: dense(x, CHANNELS, INPUTS),
    "sparse layer": lambda x: pointwise(x, CHANNELS, INPUTS, "expand"),
    "normalization": lambda x: normalized(dense(x, CHANNELS, INPUTS)),
}
BEHIND: dict[str, Callable[[Any], Any]] = {
    "convolution": lambda x: dense(x, 9, CHANNELS),
    "convolution of a scaled image": lambda x: dense(excited(x), 9, CHANNELS),
    "sparse layer": lambda x: pointwise(x, 9, CHANNELS, "project"),
    "sparse layer of a scaled image": lambda x: pointwise(excited(x), 9, CHANNELS, "project"),
    "sum": lambda x: ops.add(x, ops.sigmoid(x)),
    "nothing": lambda x: x,
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("behind", BEHIND)
def test_vectors_of_channels_are_read_and_written_last_where_openvino_has_them_so(
    behind: str, before: str, method: Method, library: Path
) -> None:
    graph = replaced(lambda x: BEHIND[behind](depthwise(BEFORE[before](x), 9, 1)), 2, Setting(method=method), library)
    (node,) = (node for node in graph.get_ops() if node.get_type_name() == "DepthwiseConvolution")
    attributes = node.get_attributes()
    assert attributes["reads_last"] == (method != "pixels" and before == "normalization")
    assert attributes["writes_last"] == (
        method != "pixels" and behind in ("convolution", "convolution of a scaled image")
    )
