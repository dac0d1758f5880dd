from __future__ import annotations

import nas.torchvision_fix  # isort: skip
import timm.data
import torch
import torchvision


def test_timm_and_torchvision_import_after_it() -> None:
    assert nas.torchvision_fix
    assert torch.ops.torchvision.nms
    assert callable(timm.data.create_transform)
    assert callable(torchvision.transforms.Resize)
