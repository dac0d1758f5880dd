from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from nas.errors import ExportError
from nas.export.checking.evaluate import deployed_outputs
from nas.export.onnx import OnnxExporter
from nas.latency.runtimes import RUNTIMES
from nas.space import Architecture, Network
from tests.runtimes_here import or_skipped


def export(path: Path, batch: int) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    network = Network(Architecture({"name": "test"}, (), {}), model)
    OnnxExporter().export(network, path, input_shape=(batch, 3, 6, 6))
    return model


def data(count: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(1)
    return TensorDataset(torch.randn(count, 3, 6, 6, generator=generator), torch.arange(count))


@pytest.mark.parametrize("runtime", or_skipped(name for name in RUNTIMES.names() if RUNTIMES.get(name).answers))
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("count", [3, 8, 70])
def test_outputs_of_every_image_in_order(runtime: str, batch: int, count: int, tmp_path: Path) -> None:
    model, dataset = export(tmp_path / "x.onnx", batch), data(count)
    outputs, targets = deployed_outputs(tmp_path / "x.onnx", dataset, runtime=runtime)
    with torch.no_grad():
        expected = model(dataset.tensors[0]).numpy()
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    assert targets.tolist() == list(range(count))


def test_what_can_not_be_evaluated_says_so(tmp_path: Path) -> None:
    export(tmp_path / "x.onnx", 1)
    with pytest.raises(ExportError, match="empty"):
        deployed_outputs(tmp_path / "x.onnx", data(0), runtime="onnxruntime")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(ExportError, match=r"broken\.onnx"):
        deployed_outputs(tmp_path / "broken.onnx", data(3), runtime="onnxruntime")
