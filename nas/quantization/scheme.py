"""Quantization scheme of a site: the precision policy's decisions besides the number of bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from nas.errors import PlanError
from nas.quantization import CALIBRATIONS, Calibration
from nas.registry import make

Symmetry = Literal["symmetric", "asymmetric"]
SYMMETRIES: tuple[Symmetry, ...] = get_args(Symmetry)
#: Key of a module's ``policy_annotations``.
_KEY = "precision"


@dataclass(frozen=True)
class Scheme:
    """Scheme of a layer's weights and, if it computes in integers, of its input."""

    weights: Symmetry = "symmetric"
    activations: Symmetry = "asymmetric"
    #: Name of a calibration and its parameters.
    calibration: Mapping[str, Any] = field(default_factory=lambda: {"name": "min_max"})
    #: Whether 8-bit weights use all 8 bits instead of 7.
    full_range: bool = False
    #: Number of 4-bit weights of an output channel that share a scale; None for all of them.
    block_size: int | None = None
    #: Share of training after which the network is trained with rounding; None for never.
    aware_from: float | None = None

    def __post_init__(self) -> None:
        if self.block_size is not None and (self.block_size < 16 or self.block_size & (self.block_size - 1)):
            raise PlanError(f"precision: block_size {self.block_size}; allowed: a power of two from 16, or none")
        if self.aware_from is not None and not 0.0 <= self.aware_from < 1.0:
            raise PlanError(f"precision: quantization_aware {self.aware_from}; allowed: 0 up to below 1, or none")
        self.new_calibration()

    def new_calibration(self) -> Calibration:
        """Make a calibration for one value.

        Raises:
            UnknownNameError: there is no such calibration.
            PlanError: the calibration does not take a parameter, or refuses its value.
        """
        factory = CALIBRATIONS.get(str(self.calibration.get("name")))
        return make(factory, self.calibration, "calibration")  # type: ignore[no-any-return]

    def annotate(self, module: Any) -> None:
        """Write the scheme to a module, where it is part of the network's identity and exporters find it."""
        module.policy_annotations = {**getattr(module, "policy_annotations", {}), _KEY: asdict(self)}


def scheme_of(module: Any) -> Scheme:
    """The scheme that ``annotate`` wrote to a module; the default scheme if there is none."""
    return Scheme(**getattr(module, "policy_annotations", {}).get(_KEY, {}))
