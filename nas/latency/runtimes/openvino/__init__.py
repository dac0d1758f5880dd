"""OpenVINO on the processor, without and with native kernels."""
