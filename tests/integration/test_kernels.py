"""Networks of the search spaces, pruned in blocks and exported as usual, run on the native kernels."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nas.errors import MeasureError
from nas.export.onnx import OnnxExporter
from nas.export.seeding import seed_weights
from nas.kernels.build import library
from nas.latency.runtimes import Runtime, SessionOptions, make_runtime
from nas.latency.runtimes.openvino.choice import KernelChooser
from nas.latency.runtimes.openvino.graph_pass import Setting, kernel_layers, prepare
from nas.registry import make
from nas.space.chooser import RandomChooser
from nas.space.sampling import Searched
from nas.sparsity import PATTERNS
from nas.tasks import make_task
from search_spaces import SPACES

SEED = 1


@pytest.fixture
def kernels() -> Runtime:
    try:
        library()
        return make_runtime("openvino_kernels", {})
    except MeasureError as error:
        pytest.skip(str(error))


def exported(space: str, folder: Path) -> Path:
    """A network with a quarter of the weights of its 1×1 convolutions kept, in blocks of four outputs."""
    task = make_task("digits", image_size=16)
    searched = Searched(make(SPACES.get(space), {"name": space}, "space"), {"name": space}, (), task)
    network = searched.build(searched.sample(RandomChooser(SEED)).architecture, SEED)
    shape = (1, *task.input_shape)
    seed_weights(network, shape, str(SEED))
    with torch.no_grad():
        for module in network.model.modules():
            if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1:
                module.weight *= PATTERNS.get("block_4x1").mask(module.weight.abs(), 0.25)
    network.finalize()
    OnnxExporter().export(network, folder / "network.onnx", input_shape=shape)
    return folder / "network.onnx"


def answers(runtime: Runtime, path: Path, threads: int = 1) -> np.ndarray:
    with closing(runtime.open(path, SessionOptions(threads=threads))) as session:
        return session.run(np.random.default_rng(0).normal(size=session.input_shape).astype(np.float32))


@pytest.mark.parametrize("space", ["sparse_convnet", "large_kernel"])
def test_a_network_on_the_kernels_answers_as_in_onnx_runtime(
    space: str, kernels: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced: dict[str, str] = {}

    def choose_all(self: KernelChooser, model: Any, *rest: Any) -> dict[str, Setting]:
        prepare(prepared := model.clone())
        found = kernel_layers(prepared)
        replaced.update((item.name, item.kind) for item in found)
        return {item.name: Setting(rows=4) for item in found}

    monkeypatch.setattr(KernelChooser, "choose", choose_all)
    path = exported(space, tmp_path)
    expected = answers(make_runtime("onnxruntime", {}), path)
    for threads in (1, 2):
        found = answers(kernels, path, threads)
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * expected.std())
    assert {*replaced.values()} == {"sparse", "depthwise"}
    nodes = kernels.profile(path, SessionOptions()).nodes
    placed = {node.name for node in nodes if node.op in ("SparseConvolution", "DepthwiseConvolution")}
    # A depthwise kernel may also compute the sparse layer before it.
    assert {name for name, kind in replaced.items() if kind == "depthwise"} <= placed <= {*replaced}
