"""How far rounding alone can move a network's answers, told by torch: without the graph, the file or its quantiser."""

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
    """What the network answers with weights rounded and, if any has 8 bits, the result of every operator.

    Args:
        model: in eval mode.
        bits: module path → bits of its weight; the weights of other modules get the fewest of these.
        expected: what the network answers unrounded.
        batch: inputs that are answered at once.
        calibration: ``(M, C, H, W)``; the ranges of 8 bits are those of these inputs.
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
    """Without torch's fused kernels for attention: what happens inside of them could not be rounded."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


class _WithWeights(nn.Module):
    """A network with other tensors in place of some of its parameters."""

    def __init__(self, model: nn.Module, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.model, self._weights = model, dict(weights)

    def forward(self, inputs: Tensor) -> Any:
        """``(N, C, H, W)`` → what the network returns."""
        return functional_call(self.model, self._weights, (inputs,))


class _Results(TorchDispatchMode, ABC):  # type: ignore[no-untyped-call]
    """Sees the float results of every operator that makes a new tensor, numbered in order within a run."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._place = -1

    def start(self) -> None:
        """Another run begins: count from zero."""
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
        """What the network goes on with in place of a result, whose number is ``_place``."""


class _Ranges(_Results):  # type: ignore[no-untyped-call]
    """Finds the range of every result."""

    def __init__(self, scheme: Scheme) -> None:
        super().__init__()
        self._scheme = scheme
        self._calibrations: list[Calibration] = []

    def steps(self) -> list[Steps | None]:
        """Of each result; None where a value was not finite, as in the mask of an attention."""
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
        # What is divided by must not become zero.
        return torch.where(rounded == 0, value, rounded)
