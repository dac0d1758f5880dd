"""Architectures, which are recorded answers, and the networks that are built from them."""

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
    """A record of what was chosen, from which the network can be built again anywhere.

    ``space`` and ``policies`` are ``{"name": …, parameters…}`` as in a plan. ``choices`` are the active answers,
    including those to the questions of policies.
    """

    space: Mapping[str, Any]
    policies: tuple[Mapping[str, Any], ...]
    choices: Mapping[str, Value]
    #: Whether the policies do not change the network of the space; they asked no questions in this case.
    untouched: bool = False

    @property
    def name(self) -> str:
        """A short hash of the choices, for display. It is not the identity."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def to_json(self) -> dict[str, Any]:
        """The architecture as JSON values, for ``from_json``."""
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
            raise SpaceError(
                f"an architecture has the version {data.get('version')!r}, and this program reads version 1; export "
                "it anew"
            )
        try:
            return cls(data["space"], tuple(data["policies"]), data["choices"], data.get("untouched") is True)
        except KeyError as error:
            raise SpaceError(
                f"an architecture has no {error}; give it as nas export writes it to architecture.json"
            ) from error


@dataclass
class Network:
    """A built architecture: the module, and what policies have put on it.

    Policies write into it when they attach: masks onto the module's weights, bits into ``bits``.
    """

    architecture: Architecture
    model: nn.Module
    policies: tuple[Policy, ...] = ()
    #: Module path → bits of the weight. 8 bits also hold for the module's input; 4 and 16 bits hold for the stored
    #: weight only. A missing path has 32 bits.
    bits: dict[str, int] = field(default_factory=dict)
    #: Shape of one input, ``(1, C, H, W)``, for policies that trace the network.
    input_shape: tuple[int, ...] = ()

    def on_step(self, step: int, total_steps: int) -> None:
        """Run the schedules of the policies before optimizer step ``step`` of ``total_steps``."""
        for policy in self.policies:
            policy.on_step(self, step, total_steps)

    def restarts(self, total_steps: int) -> list[int]:
        """Steps before which optimizer and learning rate start again, after ``on_step``."""
        return sorted({step for policy in self.policies for step in policy.restarts(self, total_steps)})

    def finalize(self) -> None:
        """Make the weights what will ship, as ordinary parameters, after training."""
        for policy in reversed(self.policies):
            policy.finalize(self)
        write_computed(self.model)

    def describe(self) -> dict[str, dict[str, float | str]]:
        """What the policies did to each module: module path → facts."""
        found: dict[str, dict[str, float | str]] = {}
        for policy in self.policies:
            for path, facts in policy.describe(self).items():
                found.setdefault(path, {}).update(facts)
        return found

    def account(self) -> dict[str, float]:
        """The numbers that the policies declare for this network: densities, bytes, bits."""
        return {name: value for policy in self.policies for name, value in policy.account(self).items()}
