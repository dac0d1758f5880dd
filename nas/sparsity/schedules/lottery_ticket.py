"""Lottery tickets: iterative magnitude pruning with rewinding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nas.errors import PlanError
from nas.papers import Paper
from nas.sparsity import Schedule
from nas.sparsity.prunable import Prunable

#: Prefix of the buffers of the network's root that hold the state to rewind to.
PREFIX = "rewind/"
#: Name of a parametrized weight in a state.
_ORIGINAL = "parametrizations.weight.original"


class LotteryTicket(Schedule):
    """Rounds of training, pruning and resetting the kept weights to early values (Frankle & Carbin 2019).

    Training is divided into ``rounds`` + 1 equal parts, each with the whole learning-rate schedule and a new optimizer,
    so it needs more epochs. The last layer is pruned at half the rate and ends denser than the others.

    The share that a round removes follows from the final density: 1 - density^(1/rounds).

    Args:
        rounds: number of pruning rounds.
        rewind: share of the first part of training after which the weights are stored that the kept weights are reset
            to.
    """

    when = "during"
    dynamic = False
    paper = Paper(
        3,
        "Lottery Ticket Hypothesis (Frankle & Carbin 2019)",
        "tests/unit/nas/sparsity/test_lottery_ticket.py::test_rounds_of_a_training",
    )

    def __init__(self, rounds: int = 3, rewind: float = 0.0) -> None:
        if rounds < 1 or not 0 <= rewind < 1:
            raise PlanError(
                f"schedule lottery_ticket: rounds {rounds!r}, rewind {rewind!r}; "
                "rounds must be at least 1, rewind a share of a round from 0 to below 1"
            )
        self.rounds, self.rewind = rounds, rewind

    def density(self, part: Prunable, step: int, total_steps: int) -> float:
        """Density (1 - rate)^r after r rounds."""
        return self._after(part, sum(step >= bound for bound in self._bounds(total_steps)))

    def final_density(self, part: Prunable) -> float:
        """Density after all rounds."""
        return self._after(part, self.rounds)

    def _after(self, part: Prunable, rounds: int) -> float:
        rate = 1.0 - float(part.density ** (1 / self.rounds))
        return float((1.0 - (rate / 2 if part.last and part.pattern.own_density is None else rate)) ** rounds)

    def restarts(self, total_steps: int) -> tuple[int, ...]:
        """First step of every part except the first."""
        return tuple(self._bounds(total_steps))

    def start(self, model: nn.Module, parts: Sequence[Prunable]) -> None:
        """Add buffers for the state to rewind to."""
        for name, value in _state(model).items():
            model.register_buffer(_buffer(name), value.clone())

    def on_step(self, model: nn.Module, parts: Sequence[Prunable], step: int, total_steps: int) -> None:
        """See ``Schedule.on_step``."""
        bounds = self._bounds(total_steps)
        if step == int(self.rewind * bounds[0]):
            for saved, value in _saved(model):
                saved.copy_(value)
        if step in bounds:
            for part in parts:
                # A score below any magnitude, so that removed weights stay removed.
                scores = part.values().abs().masked_fill(~part.kept(), -1.0)
                part.prune(self.density(part, step, total_steps), scores)
            for saved, value in _saved(model):
                value.copy_(saved)

    def finish(self, model: nn.Module, parts: Sequence[Prunable]) -> None:
        """Also remove the buffers of the state to rewind to; see ``Schedule.finish``."""
        super().finish(model, parts)
        for name in [name for name, _ in model.named_buffers(recurse=False) if name.startswith(PREFIX)]:
            delattr(model, name)

    def _bounds(self, total_steps: int) -> list[int]:
        return [max(number, round(number * total_steps / (self.rounds + 1))) for number in range(1, self.rounds + 1)]


def _state(model: nn.Module) -> dict[str, Tensor]:
    """Views of everything that training changes, except masks, under names that do not depend on parametrizations."""
    return {
        name.replace(_ORIGINAL, "weight"): value
        for name, value in model.state_dict().items()
        if value.dtype != torch.bool and not name.startswith(PREFIX)
    }


def _saved(model: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Pairs of saved and current value, for everything that existed at the start."""
    buffers = dict(model.named_buffers(recurse=False))
    return [(buffers[_buffer(name)], value) for name, value in _state(model).items() if _buffer(name) in buffers]


def _buffer(name: str) -> str:
    return PREFIX + name.replace(".", "/")
