"""Precision: the number of bits that each site computes with, and the calibrations that find ranges of integers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from nas.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

#: Lowest and highest value that integers represent without clipping.
Range = tuple[float, float]


class Calibration(ABC):
    """Finds the range of one value of a network from calibration inputs; each object serves one value.

    Parameters are keyword arguments with defaults, which a plan may set; constructors validate them (PlanError).
    """

    #: Name of this calibration in ONNX Runtime's ``CalibrationMethod``, which is used for networks with nodes that no
    #: op covers; None if such networks can't use this calibration.
    onnxruntime_method: ClassVar[str | None] = None

    @abstractmethod
    def add(self, value: Tensor) -> None:
        """Add the value for one more batch, a tensor of any shape."""

    @abstractmethod
    def range(self) -> Range:
        """The range for all added values; not finite if a value was not finite, or if nothing was added."""


CALIBRATIONS: Registry[type[Calibration]] = Registry(
    "calibrations",
    {
        "entropy": "nas.quantization.entropy:Entropy",
        "min_max": "nas.quantization.min_max:MinMax",
        "percentile": "nas.quantization.percentile:Percentile",
    },
    subclasses_of=Calibration,
)
