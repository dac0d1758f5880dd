"""What the dashboard must not import: each visitor's first page would wait for it, and it would stay in memory."""

from __future__ import annotations

import subprocess
import sys

HEAVY = "{'torch', 'timm', 'sklearn', 'optuna', 'ray', 'onnx', 'onnxruntime', 'openvino'}"


def test_pages_import_nothing_heavy() -> None:
    code = f"""
import sys
import dashboard.app
from dashboard.pages import page_modules
assert len(page_modules()) > 8
found = {HEAVY} & sys.modules.keys()
assert not found, found
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
