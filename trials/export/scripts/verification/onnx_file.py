"""Reads opset, tensors and operators of an ONNX file, without the package onnx."""

import hashlib
from collections.abc import Iterator
from typing import Any

#: Fields of the messages ModelProto, GraphProto, TensorProto and OperatorSetIdProto.
GRAPH, OPSETS = 7, 8
NODES, INITIALIZERS = 1, 5
NAME = 8
DOMAIN, VERSION = 1, 2


def describe(content: bytes) -> dict[str, Any]:
    """Opset, a hash of each tensor, and a hash of all operators.

    Raises:
        ValueError: it is not a whole ONNX file.
    """
    opset, graph = 0, b""
    for field, value in _fields(content):
        if field == OPSETS:
            opsets = dict(_fields(value))
            opset = opsets.get(VERSION, 0) if not opsets.get(DOMAIN) else opset
        elif field == GRAPH:
            graph = value
    if not opset or not graph:
        raise ValueError("it has no graph or no opset")
    nodes, tensors = hashlib.sha256(), {}
    for field, value in _fields(graph):
        if field == NODES:
            nodes.update(value)
        elif field == INITIALIZERS:
            name = next(text for number, text in _fields(value) if number == NAME).decode()
            tensors[name] = hashlib.sha256(value).hexdigest()[:16]
    return {"opset": opset, "nodes": nodes.hexdigest()[:16], "tensors": tensors}


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Fields of a message in the wire format of protocol buffers: number, and an integer or bytes."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        if kind == 2:
            size, place = _varint(message, place)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"it has a field of the unknown kind {kind}")
        if place + size > len(message):
            raise ValueError(f"it ends in the middle: {place + size - len(message):,} bytes are missing")
        yield key >> 3, message[place : place + size]
        place += size


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(message):
            raise ValueError("it ends in the middle of a number")
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
        if shift > 63:
            raise ValueError("it has a number that is too long")
