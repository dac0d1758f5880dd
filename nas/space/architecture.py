"""Architectures: recorded questions and answers, and the network they build."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nas.errors import SpaceError
from nas.space.chooser import Value
from nas.space.computed import write_computed

if TYPE_CHECKING:
    from torch import nn

    from nas.space.policy import Policy


@dataclass(frozen=True)
class Architecture:
    """What was chosen: enough to build the network again, anywhere.

    ``space`` and ``policies`` are ``{"name": …, parameters…}`` as in a plan; ``choices`` are the active answers, those
    of policies included.
    """

    space: Mapping[str, Any]
    policies: tuple[Mapping[str, Any], ...]
    choices: Mapping[str, Value]
    #: Whether the policies leave the network as the space builds it; then they were asked nothing.
    untouched: bool = False

    @property
    def name(self) -> str:
        """Short hash of the choices: a name to print, not the identity."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for ``from_json``."""
        return {
            "version": 1,
            "space": dict(self.space),
            "policies": [dict(policy) for policy in self.policies],
            "choices": dict(self.choices),
            **({"untouched": True} if self.untouched else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Architecture:
        """Read what ``to_json`` wrote.

        Raises:
            SpaceError: another version, or a missing key.
        """
        if data.get("version") != 1:
            raise SpaceError(f"architecture of version {data.get('version')!r}; this program reads version 1")
        try:
            return cls(data["space"], tuple(data["policies"]), data["choices"], data.get("untouched") is True)
        except KeyError as error:
            raise SpaceError(f"architecture without {error}") from error


@dataclass
class Network:
    """A built architecture: the module, and what policies put on it.

    Policies write into it when they attach: masks onto the module's weights, bits into ``bits``.
    """

    architecture: Architecture
    model: nn.Module
    policies: tuple[Policy, ...] = ()
    #: Module path → bits of its weight: 8 those of its input too, 4 and 16 of the stored weight; a missing path is 32.
    bits: dict[str, int] = field(default_factory=dict)
    #: ``(1, C, H, W)``, for policies that follow the graph.
    input_shape: tuple[int, ...] = ()

    def on_step(self, step: int, total_steps: int) -> None:
        """Before optimizer step ``step`` of ``total_steps``: let schedules move."""
        for policy in self.policies:
            policy.on_step(self, step, total_steps)

    def restarts(self, total_steps: int) -> list[int]:
        """Steps before which optimizer and learning rate start anew, after ``on_step``."""
        return sorted({step for policy in self.policies for step in policy.restarts(self, total_steps)})

    def finalize(self) -> None:
        """After training: make weights what will ship, ordinary parameters."""
        for policy in reversed(self.policies):
            policy.finalize(self)
        write_computed(self.model)

    def describe(self) -> dict[str, dict[str, float | str]]:
        """Module path → what the policies did there."""
        found: dict[str, dict[str, float | str]] = {}
        for policy in self.policies:
            for path, facts in policy.describe(self).items():
                found.setdefault(path, {}).update(facts)
        return found

    def account(self) -> dict[str, float]:
        """What the policies declare about this network: densities, bytes, bits."""
        return {name: value for policy in self.policies for name, value in policy.account(self).items()}
