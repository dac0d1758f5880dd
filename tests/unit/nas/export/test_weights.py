from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from nas.errors import ExportError
from nas.export.weights import load_weights, save_weights


def model(width: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width))


def test_weights_and_statistics_come_back(tmp_path: Path) -> None:
    saved, loaded = model().to(memory_format=torch.channels_last), model()
    saved(torch.randn(4, 3, 5, 5))
    save_weights(saved, tmp_path / "weights.safetensors")
    load_weights(loaded, tmp_path / "weights.safetensors")
    pairs = zip(saved.state_dict().values(), loaded.state_dict().values(), strict=True)
    assert all(torch.equal(first, second) for first, second in pairs)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]


def test_shared_weights_stay_shared(tmp_path: Path) -> None:
    def tied() -> nn.Sequential:
        layer = nn.Linear(3, 3)
        return nn.Sequential(layer, layer)

    saved, loaded = tied(), tied()
    save_weights(saved, tmp_path / "tied.safetensors")
    load_weights(loaded, tmp_path / "tied.safetensors")
    assert torch.equal(saved[1].weight, loaded[0].weight)
    assert loaded[0].weight is loaded[1].weight


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(model(), path)
    with pytest.raises(ExportError, match="be loaded into this"):
        load_weights(model(width=8), path)
    with pytest.raises(ExportError, match="be loaded into this"):
        load_weights(nn.Sequential(nn.Linear(3, 4)), path)
    with pytest.raises(ExportError, match="missing"):
        load_weights(model(), tmp_path / "missing.safetensors")
    path.write_bytes(b"not a file of tensors")
    with pytest.raises(ExportError, match="be loaded into this"):
        load_weights(model(), path)
