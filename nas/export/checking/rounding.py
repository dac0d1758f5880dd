"""Measures how much rounding alone changes a network's outputs, in torch and without the graph or the file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from nas.export.checking.expected import Expected, answers
from nas.quantization import Calibration
from nas.quantization.scheme import Scheme, scheme_of
from nas.quantization.steps import Steps, activation_steps, fake_quantize_weight


def rounded_answers(
    model: nn.Module, bits: Mapping[str, int], expected: Expected, batch: int, calibration: Tensor
) -> np.ndarray:
    """The network's outputs with rounded weights and, if any layer has 8 bits, with all results rounded.

    Args:
        model: the network in eval mode.
        bits: module path → bits of its weight; the weights of other modules get the smallest of these numbers of bits.
        expected: outputs of the network without rounding.
        batch: batch size.
        calibration: inputs ``(M, C, H, W)`` on which the ranges of 8-bit values are found.
    """
    rounded = _WithWeights(model, dict(_weights(model, bits)))
    if 8 not in bits.values():
        return answers(rounded, expected.inputs, batch).float().cpu().numpy()
    with _every_operator_alone():
        scheme = _scheme(model, bits)
        with _Ranges(scheme) as ranges:
            answers(rounded, calibration, batch, before=ranges.start)
        with _RoundedResults(ranges.steps()) as rounding:
            found = answers(rounded, expected.inputs, batch, before=rounding.start)
    return found.float().cpu().numpy()


def _weights(model: nn.Module, bits: Mapping[str, int]) -> Iterator[tuple[str, Tensor]]:
    fewest = min(bits.values())
    for name, parameter in model.named_parameters():
        path = name.rpartition(".")[0]
        if parameter.dim() < 2:
            continue
        count = bits.get(path, fewest)
        if count == 16:
            yield name, parameter.detach().half().to(parameter.dtype)
        elif count < 16:
            yield name, fake_quantize_weight(parameter.detach(), count, scheme_of(model.get_submodule(path)))


def _scheme(model: nn.Module, bits: Mapping[str, int]) -> Scheme:
    return scheme_of(model.get_submodule(next(path for path, count in bits.items() if count == 8)))


@contextmanager
def _every_operator_alone() -> Iterator[None]:
    """A context without torch's fused attention kernels, whose intermediate results can't be rounded."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


class _WithWeights(nn.Module):
    """A network in which some parameters are replaced by other tensors."""

    def __init__(self, model: nn.Module, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.model, self._weights = model, dict(weights)

    def forward(self, inputs: Tensor) -> Any:
        """Inputs ``(N, C, H, W)`` → the output of the network."""
        return functional_call(self.model, self._weights, (inputs,))


class _Results(TorchDispatchMode, ABC):  # type: ignore[no-untyped-call]
    """Observes the float result of every operator that makes a new tensor; results are numbered within a run."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._place = -1

    def start(self) -> None:
        """Start a new run, in which results are numbered from zero."""
        self._place = -1

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        results = func(*args, **(kwargs or {}))
        if func.is_view or func._schema.is_mutable:
            return results
        return tree_map_only(Tensor, self._numbered, results)

    def _numbered(self, value: Tensor) -> Tensor:
        if not value.is_floating_point() or not value.numel():
            return value
        self._place += 1
        return self._seen(value)

    @abstractmethod
    def _seen(self, value: Tensor) -> Tensor:
        """The tensor with which the network continues in place of the result with the number ``_place``."""


class _Ranges(_Results):  # type: ignore[no-untyped-call]
    """Finds the range of every result."""

    def __init__(self, scheme: Scheme) -> None:
        super().__init__()
        self._scheme = scheme
        self._calibrations: list[Calibration] = []

    def steps(self) -> list[Steps | None]:
        """The steps of each result; None if a value was not finite, as in an attention mask."""
        ranges = [calibration.range() for calibration in self._calibrations]
        return [activation_steps(*item, self._scheme) if np.isfinite(item).all() else None for item in ranges]

    def _seen(self, value: Tensor) -> Tensor:
        if self._place == len(self._calibrations):
            self._calibrations.append(self._scheme.new_calibration())
        self._calibrations[self._place].add(value)
        return value


class _RoundedResults(_Results):  # type: ignore[no-untyped-call]
    """Rounds every result within its range."""

    def __init__(self, steps: list[Steps | None]) -> None:
        super().__init__()
        self._steps = steps

    def _seen(self, value: Tensor) -> Tensor:
        steps = self._steps[self._place] if self._place < len(self._steps) else None
        if steps is None:
            return value
        rounded = steps.fake_quantize(value.float()).to(value.dtype)
        # A divisor must not be rounded to zero.
        return torch.where(rounded == 0, value, rounded)
