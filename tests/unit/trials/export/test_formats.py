"""Formats that an export writes besides the measured file."""

from __future__ import annotations

import numpy as np
import pytest

from nas.errors import PlanError, UnknownNameError
from nas.tasks.digits import Digits
from trials.export.formats import Formats, split_scores


def formats(*names: str, opset: int | None = None, dynamic_batch: bool = False) -> Formats:
    return Formats.of(list(names), opset=opset, dynamic_batch=dynamic_batch)


def test_options_without_their_format_and_unknown_formats_are_refused() -> None:
    with pytest.raises(PlanError, match="--opset 21 applies only to --format onnx"):
        formats("torch", opset=21)
    with pytest.raises(PlanError, match="name its format, such as --format onnx"):
        formats(dynamic_batch=True)
    with pytest.raises(UnknownNameError, match="unknown format 'onx'; did you mean 'onnx'"):
        formats("onx")


def test_a_small_split_is_scored_in_one_call_because_each_may_start_a_process() -> None:
    calls = []

    def run(inputs: np.ndarray) -> np.ndarray:
        calls.append(inputs.shape)
        return np.eye(10, dtype=np.float32)[np.zeros(len(inputs), dtype=int)]

    scores = split_scores(Digits(image_size=8), run, "validation")
    assert calls == [(359, 1, 8, 8)]
    assert scores["accuracy"] == pytest.approx(0.1, abs=0.01)
