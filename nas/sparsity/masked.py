"""A network with masks: which layers have one, how many weights are left, and the network without removed weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import cast

import torch
from torch import Tensor, nn

from nas.graph.tracing import trace
from nas.ops import op_of_module
from nas.space.site import is_layer, weight_owners
from nas.sparsity import Pattern, Shape
from nas.sparsity.channel_groups import ChannelGroup, channel_groups
from nas.sparsity.mask import Mask, bake_mask, put_mask
from nas.sparsity.prunable import Prunable, PrunableChannels, PrunableWeight, Reader

#: Makes a mask of a weight, for a shape and a device.
MakeMask = Callable[[Shape, torch.device], Mask]


@dataclass(frozen=True)
class Choice:
    """Pattern and density that were chosen for a weight that is not dense."""

    name: str
    pattern: Pattern
    density: float


@dataclass
class Masked:
    """A network with the masks that ``Sparsity.attach`` put on it.

    Channel groups come first among the parts, because other weights are pruned within the remaining channels.
    """

    model: nn.Module
    seed: int
    #: Path of every convolution and linear layer → shape of its dense weight; a shared weight has one entry.
    shapes: dict[str, Shape]
    #: Path of every module with a weight → the modules that hold this parameter, with its name in each.
    owners: Mapping[str, list[tuple[str, str]]] = field(default_factory=dict)
    parts: list[Prunable] = field(default_factory=list)
    channels: list[tuple[ChannelGroup, PrunableChannels]] = field(default_factory=list)
    #: Path → the choice for its weight, and the part that prunes it.
    chosen: dict[str, tuple[Choice, Prunable]] = field(default_factory=dict)

    @classmethod
    def of(cls, model: nn.Module, seed: int) -> Masked:
        """Wrap a dense network, without masks yet."""
        layers = {path: module for path, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}
        weights = {id(module._parameters.get("weight", module)): path for path, module in reversed(layers.items())}
        shapes = {path: tuple(layers[path].weight.shape) for path in reversed(weights.values())}
        owners = weight_owners(model).values()
        return cls(model, seed, shapes, {path: held for held in owners for path, name in held if name == "weight"})

    @property
    def on_meta(self) -> bool:
        """Whether the network is on the meta device, with shapes but no values."""
        return any(parameter.is_meta for parameter in self.model.parameters())

    def mask_channels(self, choices: Mapping[str, Choice], input_shape: Shape) -> None:
        """Mask every channel group all of whose writers have a choice, at the largest of their densities."""
        for group in channel_groups(trace(self.model, input_shape, unused=True)):
            writers = [choices.get(path) for path in group.writers]
            wanted = [choice for choice in writers if choice is not None]
            if group.whole or not writers or len(wanted) < len(writers):
                continue
            choice = max(wanted, key=lambda choice: choice.density)
            if choice.pattern.num_kept(group.size, choice.density) < group.size:
                self._mask_group(group, choice)

    def mask_weight(self, path: str, choice: Choice, make_mask: MakeMask, *, last: bool) -> None:
        """Mask the weight of a layer and of the layers that share it, unless the pattern keeps the whole weight.

        A weight that has a mask already keeps it; a weight that is also held by a module other than a layer stays
        dense.
        """
        module = self.model.get_submodule(path)
        weight = _weight(module)
        shape = tuple(weight.shape)
        layers = self._layers_with(path)
        if not layers or choice.pattern.count(shape, choice.density) == weight.numel():
            return
        mask = make_mask(shape, weight.device)
        for layer in layers:
            put_mask(self.model.get_submodule(layer), mask)
        part = PrunableWeight(
            path,
            choice.pattern,
            choice.density,
            seed=self.seed,
            last=last,
            module=module,
            mask=mask,
            outputs=outputs[0] if (outputs := self._written(path)) else None,
            inputs=self._read(path),
        )
        self._add(part, choice, layers)

    def _layers_with(self, path: str) -> list[str]:
        """Layers that hold the weight of ``path``; empty if it is masked, computed, or held by other modules too."""
        owners = self.owners.get(path, ())
        layers = [owner for owner, name in owners if name == "weight" and self._is_masked_alike(owner, path)]
        return layers if len(layers) == len(owners) and path not in self.chosen else []

    def _is_masked_alike(self, owner: str, path: str) -> bool:
        return owner == path or is_layer(self.model.get_submodule(owner))

    def bake(self) -> None:
        """Replace masks by zeros, and remove channels that are not kept."""
        for path in {**self.shapes, **self.chosen}:
            bake_mask(self.model.get_submodule(path))
        for group, part in self.channels:
            channels = part.indices()
            for path in group.writers:
                self._narrow(path, channels, None)
            for path, repeat in group.followers:
                self._narrow(path, part.indices(repeat), part.indices(repeat))
            for path, repeat in group.readers:
                self._narrow(path, None, part.indices(repeat))

    def size(self, path: str) -> int:
        """Number of weights of a layer when it is dense."""
        return prod(self.shapes[path])

    def realised_density(self, path: str, final_density: Callable[[Prunable], float]) -> float:
        """Density of a weight; 1 for a weight of several branches that are merged when deployed, which has no mask."""
        return self.num_kept(path, final_density) / self.size(path) if path in self.shapes else 1.0

    def own_kept(self, path: str) -> int | None:
        """Number of weights that a layer keeps by its own mask (``nas.ops.sparse``); None if it has none."""
        kept: int | None = getattr(self.model.get_submodule(path), "num_kept", None)
        return kept

    def num_kept(self, path: str, final_density: Callable[[Prunable], float]) -> int:
        """Number of non-zeros of a weight; on the meta device, the number that it will have."""
        own = self.own_kept(path)
        if own is not None:
            return own
        weight = _weight(self.model.get_submodule(path)).detach()
        if not weight.is_meta:
            return int(weight.count_nonzero())
        part = self.chosen[path][1] if path in self.chosen else None
        if isinstance(part, PrunableWeight):
            return part.num_kept(final_density(part))
        rows, *columns = self.shapes[path]
        outputs, inputs = self._written(path), self._read(path)
        rows = rows if outputs is None else len(outputs[0].indices(outputs[1]))
        columns[0] = columns[0] if inputs is None else len(inputs[0].indices(inputs[1]))
        return rows * prod(columns)

    def _mask_group(self, group: ChannelGroup, choice: Choice) -> None:
        followers = [(path, repeat) for path, repeat in group.followers if path in self.shapes]
        part = PrunableChannels(
            group.writers[0],
            choice.pattern,
            choice.density,
            seed=self.seed,
            writers=[self.model.get_submodule(path) for path in group.writers],
            row_masks=[self._vector_mask(path, dimension=0) for path in group.writers],
            readers=[
                *(Reader(self._vector_mask(path, dimension=0), repeat) for path, repeat in followers),
                *(Reader(self._vector_mask(path, dimension=1), repeat) for path, repeat in group.readers),
            ],
        )
        self.channels.append((group, part))
        self._add(part, choice, group.writers)

    def _vector_mask(self, path: str, *, dimension: int) -> Mask:
        module = self.model.get_submodule(path)
        weight = _weight(module)
        shape = tuple(size if axis == dimension else 1 for axis, size in enumerate(weight.shape))
        mask = Mask(shape, weight.device)
        put_mask(module, mask)
        return mask

    def _add(self, part: Prunable, choice: Choice, paths: Iterable[str]) -> None:
        self.parts.append(part)
        self.chosen |= {path: (choice, part) for path in paths}

    def _written(self, path: str) -> tuple[PrunableChannels, int] | None:
        for group, part in self.channels:
            widths = dict([*((writer, 1) for writer in group.writers), *group.followers])
            if path in widths:
                return part, widths[path]
        return None

    def _read(self, path: str) -> tuple[PrunableChannels, int] | None:
        found = ((part, repeat) for group, part in self.channels for reader, repeat in group.readers if reader == path)
        return next(found, None)

    def _narrow(self, path: str, outputs: Tensor | None, inputs: Tensor | None) -> None:
        module = self.model.get_submodule(path)
        op = op_of_module(module)
        assert op is not None
        op.narrow_(module, outputs, inputs)


def _weight(module: nn.Module) -> Tensor:
    return cast(Tensor, module.weight)
