"""Sample an architecture from a space with a chooser, and build the network of an architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from nas.registry import make
from nas.space.architecture import Architecture, Network
from nas.space.chooser import Chooser, PositionChooser, ReplayChooser
from nas.space.meta import WithoutFilling
from nas.space.policy import POLICIES, Policy, check_conflicts
from nas.space.search_space import SearchSpace

if TYPE_CHECKING:
    from nas.tasks import Task


@dataclass(frozen=True)
class Searched:
    """Everything that a study chooses from: a space, its policies, and the task.

    ``space_spec`` and ``policy_specs`` are the plan's ``{"name": …, parameters…}``.
    """

    space: SearchSpace
    space_spec: Mapping[str, Any]
    policy_specs: tuple[Mapping[str, Any], ...]
    task: Task

    def sample(self, chooser: Chooser) -> Network:
        """Ask all questions and build the network on the meta device, with shapes but without weights."""
        with torch.device("meta"), WithoutFilling():
            return self._ask(chooser)

    def untouched(self) -> Network | None:
        """The one network of a space without questions, unchanged by policies, on the meta device; otherwise None."""
        chooser = PositionChooser(0.0)
        with torch.device("meta"), WithoutFilling():
            network = self._ask(chooser, untouched=True)
        return None if chooser.questions else network

    def build(self, architecture: Architecture, seed: int) -> Network:
        """Build a recorded architecture, with weights initialised from ``seed``.

        Raises:
            SpaceError: the record does not fit this space.
        """
        chooser = ReplayChooser(architecture.choices)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self._ask(chooser, untouched=architecture.untouched)
        chooser.finish()
        return network

    def dense(self) -> Searched:
        """The space and the task without policies."""
        return replace(self, policy_specs=())

    def dense_parent(self, architecture: Architecture) -> Network:
        """The network with the same choices but without policies, on the meta device.

        Raises:
            SpaceError: the record does not fit this space.
        """
        return self.dense().sample(ReplayChooser(architecture.choices))

    def _ask(self, chooser: Chooser, *, untouched: bool = False) -> Network:
        policies = sorted(make_policies(self.policy_specs), key=lambda policy: policy.attaches_last)
        model = self.space.build(chooser, self.task)
        sites = self.space.sites(model)
        for policy in policies:
            policy.leave(sites) if untouched else policy.ask(chooser, sites)
        architecture = Architecture(self.space_spec, self.policy_specs, chooser.active_answers, untouched)
        network = Network(architecture, model, tuple(policies), input_shape=(1, *self.task.input_shape))
        for policy in policies:
            policy.attach(network)
        return network


def make_policies(specs: Sequence[Mapping[str, Any]]) -> list[Policy]:
    """New policy objects from ``{"name": …, parameters…}``; PlanError if two of them conflict."""
    policies = [(str(spec["name"]), make(POLICIES.get(spec["name"]), spec, "policies")) for spec in specs]
    check_conflicts(policies)
    return [policy for _, policy in policies]
