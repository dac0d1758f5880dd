from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.kernels.library import METHODS
from nas.kernels.sparse_format import ROWS, Floats, SparseWeights
from nas.latency.runtimes.openvino.quiet import openvino

OUTPUTS, INPUTS = 37, 20


@pytest.fixture(scope="module")
def core(library: Path) -> Any:
    found = openvino.Core()
    found.add_extension(library)
    return found


def model_of(weights: SparseWeights, bias: Floats, shape: tuple[int, ...], channels_last: bool, library: Path) -> Any:
    factory = openvino.utils.node_factory.NodeFactory()
    factory.add_extension(library)
    x = openvino.op.Parameter(openvino.Type.f32, openvino.PartialShape(shape))
    arrays = (weights.values, weights.columns, weights.starts, bias)
    inputs = [x.output(0), *(openvino.op.Constant(array).output(0) for array in arrays)]
    attributes = {"outputs": OUTPUTS, "rows": weights.rows, "channels_last": channels_last}
    return openvino.Model([factory.create("SparseConvolution", inputs, attributes).output(0)], [x], "one layer")


@pytest.mark.parametrize(
    ("shape", "channels_last"),
    [
        ((3, INPUTS, 7, 7), False),
        ((2, INPUTS, 40, 40), False),
        ((4, INPUTS), False),
        ((2, INPUTS, 1, 1), False),
        ((3, 50, INPUTS), True),
        ((2, 5, 5, INPUTS), True),
        ((1, INPUTS), True),
    ],
)
def test_any_number_of_threads_computes_all_images(
    core: Any, library: Path, shape: tuple[int, ...], channels_last: bool
) -> None:
    rng = np.random.default_rng(shape)
    weight = (rng.normal(size=(OUTPUTS, INPUTS)) * (rng.random((OUTPUTS, INPUTS)) < 0.3)).astype(np.float32)
    bias, x = rng.normal(size=OUTPUTS).astype(np.float32), rng.normal(size=shape).astype(np.float32)
    last = x if channels_last else np.moveaxis(x, 1, -1)
    right = last @ weight.T + bias
    right = right if channels_last else np.moveaxis(right, -1, 1)
    for rows in ROWS:
        model = model_of(SparseWeights.of(weight, rows), bias, shape, channels_last, library)
        for threads in (1, 3):
            found = core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": threads})(x)[0]
            np.testing.assert_allclose(found, right, atol=1e-5 * np.abs(right).max())


def depthwise_model(
    weight: Any,
    bias: Floats,
    x: openvino.op.Parameter,
    library: Path,
    *more: openvino.op.Parameter,
    **attributes: bool | str,
) -> Any:
    factory = openvino.utils.node_factory.NodeFactory()
    factory.add_extension(library)
    inputs = [x.output(0), weight.output(0), openvino.op.Constant(bias).output(0)]
    settings = {"pads_begin": [4, 4], "pads_end": [4, 4], "activation": "gelu", **attributes}
    node = factory.create("DepthwiseConvolution", inputs, settings)
    return openvino.Model(node.outputs(), [x, *more], "one layer")


@pytest.mark.parametrize("threads", [1, 3])
def test_any_number_of_threads_transforms_all_images(core: Any, library: Path, threads: int) -> None:
    """Each layer has a spectrum of its own, whichever layer runs first."""
    rng = np.random.default_rng(threads)
    bias, images = rng.normal(size=37).astype(np.float32), rng.normal(size=(2, 2, 37, 20, 18)).astype(np.float32)
    x = openvino.op.Parameter(openvino.Type.f32, openvino.PartialShape(images.shape[1:]))
    weights = [openvino.op.Constant(rng.normal(size=(37, 9, 9)).astype(np.float32)) for _ in range(2)]
    sums, found = (
        [
            core.compile_model(
                depthwise_model(weight, bias, x, library, method=method), "CPU", {"INFERENCE_NUM_THREADS": threads}
            )
            for weight in weights
        ]
        for method in ("pixels", "fourier")
    )
    for image in images:
        for right, transformed in zip(sums, found, strict=True):
            wanted, y = right(image)[0], transformed(image)[0]
            np.testing.assert_allclose(y, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
            assert (y != wanted).any()


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("reads_last", "writes_last"), [(True, True), (True, False), (False, True)])
def test_channels_may_be_last(
    core: Any, library: Path, reads_last: bool, writes_last: bool, method: str, threads: int
) -> None:
    rng = np.random.default_rng(0)
    weight = openvino.op.Constant(rng.normal(size=(37, 9, 9)).astype(np.float32))
    bias, image = rng.normal(size=37).astype(np.float32), rng.normal(size=(2, 37, 20, 18)).astype(np.float32)
    given = np.ascontiguousarray(np.moveaxis(image, 1, -1)) if reads_last else image
    settings = {"method": "channels" if method == "pixels" else method, "means": True}
    first, last = (
        depthwise_model(
            weight, bias, openvino.op.Parameter(openvino.Type.f32, openvino.PartialShape(x.shape)), library, **more
        )
        for x, more in ((image, settings), (given, {**settings, "reads_last": reads_last, "writes_last": writes_last}))
    )
    wanted, means = core.compile_model(first, "CPU", {"INFERENCE_NUM_THREADS": 1})(image).values()
    found, found_means = core.compile_model(last, "CPU", {"INFERENCE_NUM_THREADS": threads})(given).values()
    np.testing.assert_array_equal(np.moveaxis(found, -1, 1) if writes_last else found, wanted)
    np.testing.assert_allclose(found_means, means, rtol=0, atol=1e-5 * np.abs(means).max())


def test_weights_that_are_no_constants_are_not_transformed(core: Any, library: Path) -> None:
    rng = np.random.default_rng(0)
    shapes = (1, 16, 20, 18), (16, 9, 9)
    x, weight = (openvino.op.Parameter(openvino.Type.f32, openvino.PartialShape(shape)) for shape in shapes)
    bias = np.zeros(16, np.float32)
    sums, found = (
        core.compile_model(depthwise_model(weight, bias, x, library, weight, method=method), "CPU")
        for method in ("pixels", "fourier")
    )
    for _ in range(2):
        arrays = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
        np.testing.assert_array_equal(found(arrays)[0], sums(arrays)[0])
