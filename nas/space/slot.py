"""Slots: places of a network that keep their name whether something is in them or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from nas.space.site import Site, find_sites


class Skipped(nn.Identity):
    """An identity in the place of a block: remembers the sites the block would have had.

    So policies ask about them too, as inactive, and samplers see the same questions whatever was skipped.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self._absent = find_sites(block)

    def sites(self, path: str) -> list[Site]:
        """The absent block's sites as they would be in ``path``, inactive."""
        return [
            replace(site, module=f"{path}.{site.module}" if site.module else path, active=False)
            for site in self._absent
        ]


def slot(block: Callable[[], nn.Module], *, active: bool) -> nn.Module:
    """What ``block`` makes, or an identity that knows its sites; making those draws no random number."""
    if active:
        return block()
    with torch.device("meta"):
        return Skipped(block())
