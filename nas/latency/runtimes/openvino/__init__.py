"""OpenVINO on the processor, plain and with native kernels."""
