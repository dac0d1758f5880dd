"""The part of the protocol buffers wire format that ONNX files use; devices need not have the package ``onnx``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from nas.errors import MeasureError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10


class Field(NamedTuple):
    """One field of a message; ``value`` is a number, or the bytes of a text or a nested message."""

    number: int
    value: Any


def encode(*fields: tuple[int, int | str | bytes]) -> bytes:
    """Encode (field number, value) pairs as a message; integer values must not be negative."""
    parts = []
    for number, value in fields:
        if isinstance(value, int):
            parts.append(_varint(number << 3 | VARINT) + _varint(value))
        else:
            data = value.encode() if isinstance(value, str) else value
            parts.append(_varint(number << 3 | BYTES) + _varint(len(data)) + data)
    return b"".join(parts)


def decode(message: memoryview) -> Iterator[Field]:
    """Yield the fields of a message in their order.

    Raises:
        MeasureError: the bytes are not a valid message.
    """
    place = 0
    while place < len(message):
        key, place = _read_varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, place = _read_varint(message, place)
            yield Field(number, value)
            continue
        if kind == BYTES:
            size, place = _read_varint(message, place)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise MeasureError(f"not an ONNX file: it has a field of the unknown kind {kind}; export the model to ONNX")
        if number == 0 or size > len(message) - place:
            raise MeasureError(
                f"not an ONNX file: field {number} has {size} bytes, but only {len(message) - place} are left in the "
                "file; it is damaged or cut short: write it again"
            )
        yield Field(number, message[place : place + size])
        place += size


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _read_varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for index in range(_LONGEST_VARINT):
        if place + index >= len(message):
            break
        byte = message[place + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, place + index + 1
    raise MeasureError("not an ONNX file: it has a number without an end; export the model to ONNX again")
