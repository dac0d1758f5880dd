"""Native kernels for sparse and depthwise layers, run by OpenVINO as an extension library of two operations."""
