from __future__ import annotations

import subprocess
import sys

import nas.torchvision_fix  # isort: skip
import timm.data
import torch
import torchvision


def test_timm_and_torchvision_import_after_it() -> None:
    assert nas.torchvision_fix
    assert torch.ops.torchvision.nms
    assert callable(timm.data.create_transform)
    assert callable(torchvision.transforms.Resize)


def test_the_compiler_comes_when_it_is_used() -> None:
    """This runs in a process of its own, because this one may have imported the compiler already."""
    script = """
import sys
import nas.torchvision_fix, timm, torch
from timm.models import naflexvit
assert not {"torch._dynamo", "sympy", "torch.distributed.tensor"} & set(sys.modules)
from torchvision.ops import roi_align
assert torch.compile(lambda x: x + 1, backend="eager")(torch.ones(1)) == 2
assert torch._dynamo.is_compiling() is False
from torch.distributed.tensor import DTensor
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
