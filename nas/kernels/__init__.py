"""Native kernels for sparse and depthwise layers, which OpenVINO loads as an extension library of two operations."""
