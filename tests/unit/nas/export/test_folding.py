from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from timm.layers import LayerScale2d
from torch import Tensor, nn

from nas.export.folding import fold
from nas.export.onnx import OnnxExporter
from nas.graph.identity import trace
from nas.layers.global_response_norm import GlobalResponseNorm
from nas.space import Architecture, Network

SHAPE = (2, 4, 6, 5)


def feed_forward(**last: int) -> nn.Sequential:
    """The second half of a UniRepLKNet block, with weights that are not neutral."""
    model = nn.Sequential(
        nn.Conv2d(4, 8, 1),
        nn.ReLU(),
        GlobalResponseNorm(8),
        nn.Conv2d(8, 4, **{"kernel_size": 1, "bias": False, **last}),
        nn.BatchNorm2d(4),
        LayerScale2d(4),
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in (*model.parameters(), *(item for item in model.buffers() if item.is_floating_point())):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.1)
    return model.eval()


def written(model: nn.Module, path: Path, bits: dict[str, int]) -> list[str]:
    network = Network(Architecture({"name": "test"}, (), {}), model, bits=bits)
    OnnxExporter().export(network, path, input_shape=SHAPE, calibration=torch.randn(16, *SHAPE[1:]))
    return [node.op_type for node in onnx.load(str(path)).graph.node]


def run(path: Path, inputs: Tensor) -> np.ndarray:
    (found,) = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(
        None, {"input": inputs.numpy()}
    )
    return found


def test_norm_scale_and_the_response_norms_bias_go_into_the_layer(tmp_path: Path) -> None:
    model, path = feed_forward(), tmp_path / "x.onnx"
    kinds = written(model, path, {})
    norm = ["ReduceL2", "ReduceMean", "Add", "Div", "Mul", "Add", "Mul"]
    assert kinds == ["Conv", "Relu", *norm, "Conv"]
    inputs = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    expected = model(inputs).detach().numpy()
    np.testing.assert_allclose(run(path, inputs), expected, rtol=1e-5, atol=1e-5 * expected.std())


@pytest.mark.parametrize("last", [{"padding": 1}, {"kernel_size": 3}, {"groups": 2}, {"stride": 2}])
def test_a_shift_goes_into_no_layer_that_pads_or_mixes_otherwise(last: dict[str, int], tmp_path: Path) -> None:
    model = feed_forward(**last)
    assert bool(fold(trace(model, SHAPE), {}).shifted) is (last == {"stride": 2})
    path = tmp_path / "x.onnx"
    written(model, path, {})
    inputs = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    expected = model(inputs).detach().numpy()
    np.testing.assert_allclose(run(path, inputs), expected, rtol=1e-5, atol=1e-5 * expected.std())


def test_a_shift_stays_where_8_bits_were_calibrated_behind_it(tmp_path: Path) -> None:
    model = feed_forward()
    assert fold(trace(model, SHAPE), {"3": 8}).shifted == frozenset()
    written(model, tmp_path / "x.onnx", {"0": 8, "3": 8})
    inputs = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    found, expected = run(tmp_path / "x.onnx", inputs), model(inputs).detach().numpy()
    assert np.abs(found - expected).max() < 0.1 * expected.std() + 0.05 * np.abs(expected).max()


def test_a_value_that_is_used_twice_is_not_folded() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.scale = nn.Conv2d(4, 4, 1), LayerScale2d(4)

        def forward(self, inputs: Tensor) -> Tensor:
            outputs = self.conv(inputs)
            return outputs + self.scale(outputs)

    assert fold(trace(Twice().eval(), SHAPE), {}).norms == {}
