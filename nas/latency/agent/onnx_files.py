"""Checks that a file is an ONNX model that refers to no other file."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.errors import MeasureError
from nas.latency.protobuf import decode

#: Kinds of messages that may contain tensors, ``{kind: {field: kind of the message in it}}``, after onnx.proto.
_INSIDE: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_IR_VERSION, _GRAPH = 1, 7
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
#: Largest number of fields in a file. A real model has a few thousand; checking one takes microseconds.
MAX_FIELDS = 2_000_000
#: Largest depth of nested messages.
MAX_LEVELS = 100


def check_self_contained(path: Path) -> None:
    """Refuse a file that is not an ONNX model, or a model whose weights are in other files (untrusted paths).

    Raises:
        MeasureError: the file is refused, also because it has more parts than any real model.
    """
    if not path.stat().st_size:
        raise MeasureError("not an ONNX file: it is empty; export the model again")
    with path.open("rb") as file:
        # The mapping is closed when its last view is freed; the traceback of an error may hold one for a while.
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    _check(memoryview(mapped))


def _check(view: memoryview) -> None:
    pending: list[tuple[str, Any, int]] = [("model", view, 0)]
    count, top = 0, set()
    while pending:
        kind, message, level = pending.pop()
        for number, value in decode(message):
            count += 1
            if kind == "model":
                top.add(number)
            if kind == "tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value)):
                raise MeasureError("the ONNX file keeps weights in other files; save it with all data inside")
            inner = _INSIDE[kind].get(number)
            if inner is not None:
                if isinstance(value, int):
                    raise MeasureError(
                        f"not an ONNX file: it has a number in place of a {inner}; export the model again"
                    )
                pending.append((inner, value, level + 1))
            if count > MAX_FIELDS or level > MAX_LEVELS:
                raise MeasureError(
                    f"this ONNX file has more than {MAX_FIELDS} parts or {MAX_LEVELS} levels of graphs, which the "
                    "agent does not read; give a smaller model"
                )
    if not {_IR_VERSION, _GRAPH} <= top:
        raise MeasureError("not an ONNX file: it has no version or no graph; export the model again")
