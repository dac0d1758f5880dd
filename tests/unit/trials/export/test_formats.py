"""Formats that an export writes besides the measured file."""

from __future__ import annotations

import pytest

from nas.errors import PlanError, UnknownNameError
from trials.export.formats import Formats


def formats(*names: str, opset: int | None = None, dynamic_batch: bool = False) -> Formats:
    return Formats.of(list(names), opset=opset, dynamic_batch=dynamic_batch)


def test_options_without_their_format_and_unknown_formats_are_refused() -> None:
    with pytest.raises(PlanError, match="--opset 21 applies only to --format onnx"):
        formats("torch", opset=21)
    with pytest.raises(PlanError, match="name its format, such as --format onnx"):
        formats(dynamic_batch=True)
    with pytest.raises(UnknownNameError, match="unknown format 'onx'; did you mean 'onnx'"):
        formats("onx")
