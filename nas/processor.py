"""Describes this machine's processor."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

#: Processor flags by which runtimes choose their kernels.
_TELLING = (
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "amx_int8",
    "asimd",
    "sve",
)


def describe_processor() -> dict[str, Any]:
    """Model, flags that runtimes depend on, and number of cores of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return {
        "processor": fields.get("model name") or platform.processor() or platform.machine(),
        "flags": [flag for flag in _TELLING if flag in flags],
        "cores": os.cpu_count(),
    }
