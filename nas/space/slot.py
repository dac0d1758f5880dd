"""Slots: places of a network that keep their names whether they are used or skipped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from nas.space.site import Site, find_sites


class Skipped(nn.Identity):
    """An identity in the place of a block, which knows the sites that the block would have.

    Policies ask about these sites as inactive, so samplers see the same questions whatever was skipped.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self._absent = find_sites(block)

    def sites(self, path: str) -> list[Site]:
        """The sites that the skipped block would have at ``path``, as inactive sites."""
        return [
            replace(site, module=f"{path}.{site.module}" if site.module else path, active=False)
            for site in self._absent
        ]


def slot(block: Callable[[], nn.Module], *, active: bool) -> nn.Module:
    """The module that ``block`` makes, or an identity that knows its sites, for which no random numbers are drawn."""
    if active:
        return block()
    with torch.device("meta"):
        return Skipped(block())
