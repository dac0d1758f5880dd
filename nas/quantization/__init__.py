"""Precision: how many bits each site of a network computes with, and how the ranges of integers are found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from nas.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

#: Lowest and highest value that has an integer of its own.
Range = tuple[float, float]


class Calibration(ABC):
    """Finds the range of one value from what the value is on calibration inputs; one object serves one value.

    The parameters are the plan's, keyword arguments with defaults, validated in the constructor (PlanError).
    """

    #: Name of the same calibration in ONNX Runtime's ``CalibrationMethod``. ONNX Runtime quantizes networks with a node
    #: that no op covers; None: such networks can't use this calibration.
    onnxruntime_method: ClassVar[str | None] = None

    @abstractmethod
    def add(self, value: Tensor) -> None:
        """Look at the value of one more batch, of any shape."""

    @abstractmethod
    def range(self) -> Range:
        """The range for what was added; not finite where that was not, or where nothing was added."""


CALIBRATIONS: Registry[type[Calibration]] = Registry(
    "calibrations",
    {
        "entropy": "nas.quantization.entropy:Entropy",
        "min_max": "nas.quantization.min_max:MinMax",
        "percentile": "nas.quantization.percentile:Percentile",
    },
    subclasses_of=Calibration,
)
