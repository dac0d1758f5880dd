"""Parts of a network that a schedule prunes: a weight, or the channels that several layers share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas.seeds import seed_of
from nas.sparsity import Pattern, Shape
from nas.sparsity.mask import Mask, original


class Prunable(ABC):
    """A part that can be pruned: values ``(outputs, …)`` with a mask, a pattern and a density.

    Args:
        name: name of the site, which seeds its random draws.
        pattern: pattern of the mask.
        density: final density.
        seed: seed of random draws.
        last: whether this is the network's last layer.
    """

    def __init__(self, name: str, pattern: Pattern, density: float, *, seed: int, last: bool = False) -> None:
        self.name, self.pattern, self.density, self.last = name, pattern, density, last
        self._seed = seed

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """Shape of ``values``."""

    @abstractmethod
    def values(self) -> Tensor:
        """A copy of the weights, removed ones included."""

    @abstractmethod
    def kept(self) -> Tensor:
        """The current mask, of shape ``shape``."""

    @abstractmethod
    def keep(self, mask: Tensor) -> None:
        """Replace the current mask."""

    def num_kept(self, density: float) -> int:
        """Number of weights that the pattern keeps at a density."""
        return self.pattern.count(self.shape, density)

    def prune(self, density: float, scores: Tensor | None = None) -> None:
        """Keep the weights with the highest ``scores``; the largest weights if there are no scores."""
        self.keep(self.pattern.mask(self.values().abs() if scores is None else scores, density))

    def random(self, step: int) -> Tensor:
        """Random numbers in [0, 1) of shape ``shape``, which depend only on seed, name and step."""
        generator = torch.Generator().manual_seed(seed_of(self._seed, self.name, step))
        return torch.rand(self.shape, generator=generator, device="cpu").to(self.values().device)


@dataclass(frozen=True)
class Reader:
    """The mask of a weight that reads the channels of a group, each with ``repeat`` consecutive inputs."""

    mask: Mask
    repeat: int


class PrunableChannels(Prunable):
    """Channels that some layers write and others read.

    ``values`` has the shape ``(channels, weights of all writers)``.
    """

    def __init__(
        self,
        name: str,
        pattern: Pattern,
        density: float,
        *,
        seed: int,
        writers: Sequence[nn.Module],
        row_masks: Sequence[Mask],
        readers: Sequence[Reader],
    ) -> None:
        super().__init__(name, pattern, density, seed=seed)
        self._writers, self._row_masks, self._readers = writers, row_masks, readers

    @property
    def shape(self) -> Shape:
        """See ``Prunable.shape``."""
        return tuple(self.values().shape)

    def values(self) -> Tensor:
        """See ``Prunable.values``."""
        return torch.cat([original(module).flatten(1) for module in self._writers], 1)

    def kept(self) -> Tensor:
        """See ``Prunable.kept``."""
        return self._channels().unsqueeze(1).expand(self.shape)

    def keep(self, mask: Tensor) -> None:
        """Replace the masks of writers' rows and readers' columns; see ``Prunable.keep``."""
        channels = mask[:, 0]
        for row_mask in self._row_masks:
            row_mask.kept.copy_(channels.reshape(row_mask.kept.shape))
        for reader in self._readers:
            columns = channels.repeat_interleave(reader.repeat)
            reader.mask.kept.copy_(columns.reshape(reader.mask.kept.shape))

    def indices(self, repeat: int = 1) -> Tensor:
        """Indices of kept channels, each ``repeat`` wide; on the meta device only their number is right."""
        channels = self._channels()
        if channels.is_meta:
            count = self.pattern.num_kept(len(channels), self.density)
            return torch.arange(count * repeat, device="meta")
        return channels.repeat_interleave(repeat).nonzero().flatten()

    def _channels(self) -> Tensor:
        return self._row_masks[0].kept.flatten()


class PrunableWeight(Prunable):
    """The weight of one layer, without rows and columns whose channels were removed.

    ``outputs`` are the prunable channels that the layer writes, None if there are none; ``inputs`` those that it reads,
    with the width of each.
    """

    def __init__(
        self,
        name: str,
        pattern: Pattern,
        density: float,
        *,
        seed: int,
        last: bool,
        module: nn.Module,
        mask: Mask,
        outputs: PrunableChannels | None = None,
        inputs: tuple[PrunableChannels, int] | None = None,
    ) -> None:
        super().__init__(name, pattern, density, seed=seed, last=last)
        self._module, self.mask, self._outputs, self._inputs = module, mask, outputs, inputs

    @property
    def shape(self) -> Shape:
        """See ``Prunable.shape``."""
        rows, columns = self._present()
        return (rows.numel(), columns.numel(), *self.mask.kept.shape[2:])

    def values(self) -> Tensor:
        """See ``Prunable.values``."""
        return original(self._module)[self._present()]

    def kept(self) -> Tensor:
        """See ``Prunable.kept``."""
        return self.mask.kept[self._present()]

    def keep(self, mask: Tensor) -> None:
        """See ``Prunable.keep``."""
        self.mask.kept.zero_()
        self.mask.kept[self._present()] = mask

    def gradient(self) -> Tensor:
        """The gradient that the mask has recorded."""
        assert self.mask.gradient is not None
        return self.mask.gradient[self._present()]

    def clear(self, where: Tensor) -> None:
        """Set the weights where ``where`` is true to zero."""
        original(self._module)[self._present()] = self.values().masked_fill(where, 0.0)

    def _present(self) -> tuple[Tensor, Tensor]:
        """Indices of the rows ``(R, 1)`` and columns ``(C,)`` whose channels are kept."""
        rows, columns = self.mask.kept.shape[:2]
        device = self.mask.kept.device
        outputs, inputs = torch.arange(rows, device=device), torch.arange(columns, device=device)
        if self._outputs is not None:
            outputs = self._outputs.indices()
        if self._inputs is not None:
            channels, repeat = self._inputs
            inputs = channels.indices(repeat)
        return outputs.unsqueeze(1), inputs
