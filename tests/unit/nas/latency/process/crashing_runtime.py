"""A runtime as a user may provide it: ONNX Runtime that crashes, hangs or fails on some files."""

import os
import signal
import time
from pathlib import Path

from nas.latency.runtimes import Session, SessionOptions
from nas.latency.runtimes.onnxruntime import OnnxRuntime


class Crashing(OnnxRuntime):
    def open(self, path: Path, options: SessionOptions) -> Session:
        if path.stem == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        if path.stem == "hang":
            time.sleep(60)
        if path.stem == "raise":
            raise KeyError("a runtime's own bug")
        if path.stem == "print":
            print("a runtime that talks on standard output")
        return super().open(path, options)
