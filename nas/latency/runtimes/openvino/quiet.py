"""Imports OpenVINO without its telemetry."""

from __future__ import annotations

import sys

#: Package that openvino imports if it can; it writes a file to the home directory and sends telemetry.
_TELEMETRY = "openvino_telemetry"

try:
    sys.modules.setdefault(_TELEMETRY, None)  # type: ignore[arg-type]  # None: an import of it fails
    import openvino
    import openvino._offline_transformations
    import openvino.properties.hint
    import openvino.utils.node_factory
finally:
    if sys.modules.get(_TELEMETRY) is None:
        sys.modules.pop(_TELEMETRY, None)

__all__ = ["openvino"]
