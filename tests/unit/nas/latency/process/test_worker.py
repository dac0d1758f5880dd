from __future__ import annotations

from pathlib import Path

from nas.latency.process.worker import reference_file
from nas.latency.protocol.references import LADDER, Rung
from nas.latency.runtimes import SessionOptions
from nas.latency.runtimes.onnxruntime import OnnxRuntime


class OwnFormat(OnnxRuntime):
    """A runtime that opens files of its own format: the name of a rung as text."""

    formats = frozenset({"own"})

    def write_reference(self, rung: Rung, path: Path) -> bool:
        path.write_text(rung.name)
        return True


def test_a_runtime_that_does_not_open_onnx_writes_its_own_references(tmp_path: Path) -> None:
    path = reference_file(OwnFormat(), "r2", tmp_path)
    assert (path.name, path.read_text()) == ("r2.own", "r2")


def test_a_reference_is_written_once_as_onnx(tmp_path: Path) -> None:
    path = reference_file(OnnxRuntime(), LADDER[0].name, tmp_path)
    written = path.stat().st_mtime_ns
    assert reference_file(OnnxRuntime(), LADDER[0].name, tmp_path).stat().st_mtime_ns == written
    OnnxRuntime().open(path, SessionOptions()).close()
