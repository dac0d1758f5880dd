from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.latency.runtimes.openvino.graph_pass import Setting, kernel_layers, prepare
from nas.latency.runtimes.openvino.quiet import openvino
from nas.latency.runtimes.openvino.replacement import replace

ops = openvino.opset13
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "none": lambda x: x,
    "relu": ops.relu,
    "relu6": lambda x: ops.clamp(x, 0.0, 6.0),
    "silu": lambda x: ops.multiply(x, ops.sigmoid(x)),
    "gelu": lambda x: ops.gelu(x, "erf"),
    "hard_swish": ops.hswish,
}
RANDOM = np.random.default_rng(0)


def weight(*shape: int, keep: float = 0.3) -> np.ndarray:
    kept = RANDOM.random(shape) < keep
    return np.where(kept, RANDOM.normal(size=shape), 0).astype(np.float32)


def numbers(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def pointwise(x: Any, values: np.ndarray, stride: int = 1, name: str = "conv") -> Any:
    found = ops.convolution(x, values, [stride] * 2, [0, 0], [0, 0], [1, 1])
    found.set_friendly_name(name)
    return found


def depthwise(x: Any, values: np.ndarray, stride: int, begin: list[int], end: list[int], dilation: int = 1) -> Any:
    found = ops.group_convolution(x, values, [stride] * 2, begin, end, [dilation] * 2)
    found.set_friendly_name("conv")
    return found


def model(build: Callable[[Any], Any], *shape: int, dtype: type = np.float32) -> openvino.Model:
    x = ops.parameter(shape, dtype)
    end = build(x)
    end.output(0).set_names({"answer"})
    found = openvino.Model([end], [x])
    prepare(found)
    return found


def outputs(graph: openvino.Model, inputs: np.ndarray, library: Path) -> np.ndarray:
    core = openvino.Core()
    core.add_extension(library)
    settings = {openvino.properties.hint.inference_precision(): openvino.Type.f32}
    return np.array(core.compile_model(graph, "CPU", settings)(inputs)["answer"])


def check_equal(graph: openvino.Model, library: Path, settings: dict[str, Setting]) -> None:
    inputs = numbers(*graph.inputs[0].get_shape())
    expected = outputs(graph.clone(), inputs, library)
    replace(graph, settings, library)
    kinds = [node.get_type_name() for node in graph.get_ops()]
    assert sum(kind in ("SparseConvolution", "DepthwiseConvolution") for kind in kinds) == len(settings)
    np.testing.assert_allclose(outputs(graph, inputs, library), expected, rtol=0, atol=1e-5 * expected.std())


@pytest.mark.parametrize("rows", [1, 2, 4])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_sparse_convolutions_with_what_is_fused(activation: str, rows: int, library: Path) -> None:
    bias, values = numbers(1, 10, 1, 1), weight(10, 8, 1, 1)
    graph = model(lambda x: ACTIVATIONS[activation](ops.add(pointwise(x, values), bias)), 2, 8, 5, 7)
    (found,) = kernel_layers(graph)
    assert (found.name, found.kind, found.activation) == ("conv", "sparse", activation)
    np.testing.assert_array_equal(found.weight, values[:, :, 0, 0])
    np.testing.assert_array_equal(found.bias, bias.reshape(-1))
    assert found.density == np.count_nonzero(values) / 80
    check_equal(graph, library, {"conv": Setting(rows=rows)})
    assert not kernel_layers(graph)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("kernel", "stride", "begin", "end"),
    [(3, 1, [1, 1], [1, 1]), (3, 2, [0, 0], [1, 1]), (5, 2, [2, 2], [2, 2]), (4, 1, [0, 1], [3, 0])],
)
def test_depthwise_convolutions(
    activation: str, kernel: int, stride: int, begin: list[int], end: list[int], library: Path
) -> None:
    values, bias = numbers(6, 1, 1, kernel, kernel), numbers(1, 6, 1, 1)
    graph = model(
        lambda x: ACTIVATIONS[activation](ops.add(depthwise(x, values, stride, begin, end), bias)), 1, 6, 9, 11
    )
    (found,) = kernel_layers(graph)
    assert (found.kind, found.activation, found.weight.shape) == ("depthwise", activation, (6, kernel, kernel))
    check_equal(graph, library, {"conv": Setting()})


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("shape", [(3, 8), (2, 7, 8), (2, 3, 5, 8)])
@pytest.mark.parametrize("transposed", [False, True])
def test_linear_layers_over_rows_and_tokens(transposed: bool, shape: tuple[int, ...], rows: int, library: Path) -> None:
    values, bias = weight(10, 8), numbers(10)
    product = {False: values.T.copy(), True: values}[transposed]
    graph = model(lambda x: ops.gelu(ops.add(ops.matmul(x, product, False, transposed), bias), "erf"), *shape)
    (found,) = kernel_layers(graph)
    assert (found.kind, found.activation, found.channels_last) == ("sparse", "gelu", True)
    np.testing.assert_array_equal(found.weight, values)
    np.testing.assert_array_equal(found.bias, bias)
    check_equal(graph, library, {found.name: Setting(rows=rows)})


@pytest.mark.parametrize(("groups", "outputs", "inputs"), [(4, 3, 2), (8, 1, 1), (2, 1, 4), (8, 2, 1)])
@pytest.mark.parametrize("rows", [1, 4])
def test_groups_of_single_pixels_are_sparse(rows: int, groups: int, outputs: int, inputs: int, library: Path) -> None:
    values, bias = numbers(groups, outputs, inputs, 1, 1), numbers(1, groups * outputs, 1, 1)
    graph = model(lambda x: ops.relu(ops.add(depthwise(x, values, 1, [0, 0], [0, 0]), bias)), 2, 8, 9, 7)
    (found,) = kernel_layers(graph)
    assert (found.kind, found.activation, found.density) == ("sparse", "relu", 1 / groups)
    check_equal(graph, library, {"conv": Setting(rows=rows)})


def test_values_with_several_readers_are_not_fused(library: Path) -> None:
    def build(x: Any) -> Any:
        found = pointwise(x, weight(8, 8, 1, 1))
        return ops.add(ops.relu(found), found)

    graph = model(build, 1, 8, 6, 6)
    (found,) = kernel_layers(graph)
    assert found.activation == "none"
    check_equal(graph, library, {"conv": Setting()})


def test_a_sum_that_is_no_bias_stays(library: Path) -> None:
    graph = model(lambda x: ops.add(pointwise(x, weight(6, 6, 1, 1)), numbers(1, 1, 6, 6)), 1, 6, 6, 6)
    (found,) = kernel_layers(graph)
    assert not found.bias.any()
    check_equal(graph, library, {"conv": Setting()})


def test_only_those_that_are_chosen_are_replaced_and_each_reads_the_one_before(library: Path) -> None:
    def build(x: Any) -> Any:
        for name in "abc":
            x = ops.relu(pointwise(x, weight(8, 8, 1, 1), name=name))
        return x

    check_equal(model(build, 1, 8, 8, 8), library, {"a": Setting(), "b": Setting(rows=4)})


OTHERS: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "product of two inputs": (lambda x: ops.matmul(x, x, False, True), (8, 8)),
    "dense product": (lambda x: ops.matmul(x, numbers(8, 8), False, False), (4, 8)),
    "product of columns": (lambda x: ops.matmul(x, weight(8, 8), True, False), (8, 4)),
    "product of many": (lambda x: ops.matmul(x, weight(2, 8, 8), False, False), (2, 4, 8)),
    "strided": (lambda x: pointwise(x, weight(8, 8, 1, 1), stride=2), (1, 8, 6, 6)),
    "dense": (lambda x: pointwise(x, numbers(8, 8, 1, 1)), (1, 8, 6, 6)),
    "kernel": (lambda x: pointwise(x, weight(8, 8, 3, 3)), (1, 8, 6, 6)),
    "grouped": (lambda x: depthwise(x, numbers(4, 2, 2, 3, 3), 1, [1, 1], [1, 1]), (1, 8, 6, 6)),
    "strided groups": (lambda x: depthwise(x, numbers(4, 2, 2, 1, 1), 2, [0, 0], [0, 0]), (1, 8, 6, 6)),
    "one group": (lambda x: depthwise(x, numbers(1, 8, 8, 1, 1), 1, [0, 0], [0, 0]), (1, 8, 6, 6)),
    "dilated": (lambda x: depthwise(x, numbers(8, 1, 1, 3, 3), 1, [2, 2], [2, 2], dilation=2), (1, 8, 6, 6)),
    "multiplied": (lambda x: depthwise(x, numbers(8, 2, 1, 3, 3), 1, [1, 1], [1, 1]), (1, 8, 6, 6)),
    "dynamic": (lambda x: pointwise(x, weight(8, 8, 1, 1)), (-1, 8, 6, 6)),
    "rounded": (
        lambda x: pointwise(ops.fake_quantize(x, np.float32(0), np.float32(6), np.float32(0), np.float32(6), 256),
                            weight(8, 8, 1, 1)),
        (1, 8, 6, 6),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_other_layers_are_no_candidates(name: str) -> None:
    build, shape = OTHERS[name]
    assert kernel_layers(model(build, *shape)) == []


def test_16_bits_are_no_candidate() -> None:
    values = weight(8, 8, 1, 1).astype(np.float16)
    assert kernel_layers(model(lambda x: pointwise(x, values), 1, 8, 6, 6, dtype=np.float16)) == []
