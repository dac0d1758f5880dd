"""Policies: choices of compression that can be combined with any space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nas.errors import PlanError
from nas.registry import Registry
from nas.space.chooser import Chooser, PositionChooser, Value
from nas.space.regime import Regime
from nas.space.site import Site

if TYPE_CHECKING:
    from nas.space.architecture import Network

Scope = Literal["network", "stage", "site"]


class Policy(ABC):
    """Changes the sites of a network, by five methods: ask, attach, on_step, finalize, account.

    One object serves one network: ``ask`` keeps the answers that ``attach`` applies. The parameters of the constructor
    are keyword arguments with defaults. A plan gives them, and the constructor validates them (PlanError).
    """

    #: What it changes (``"weights"``, ``"precision"``); two policies of a plan must not have a claim in common.
    claims: frozenset[str]
    #: Precisions that its networks can have, which the runtime of a target must support.
    precisions: frozenset[str] = frozenset()
    #: Names of the patterns that the weights of its networks can have.
    patterns: Collection[str] = ()
    #: Whether it is attached after the other policies and finalized before them, so that quantization sees the final
    #: weights.
    attaches_last: bool = False
    #: Parameters with which its masks are random and fixed, at the chosen density; None if it has no masks.
    random_masks: ClassVar[Mapping[str, Any] | None] = None

    @abstractmethod
    def ask(self, chooser: Chooser, sites: Sequence[Site]) -> None:
        """Ask the questions of this policy and keep the answers."""

    def leave(self, sites: Sequence[Site]) -> None:
        """Called in place of ``ask`` for a network that stays unchanged: ask no question and change no site."""
        self.ask(PositionChooser(1.0), ())

    @abstractmethod
    def attach(self, network: Network) -> None:
        """Apply the answers to a newly built network."""

    def on_step(  # noqa: B027  (most policies have no schedule)
        self, network: Network, step: int, total_steps: int
    ) -> None:
        """Called before optimizer step ``step`` (from 0) of ``total_steps``.

        If training continues without this policy, it is also called once with ``step`` equal to ``total_steps``.
        """

    def restarts(self, network: Network, total_steps: int) -> Sequence[int]:
        """Steps before which training starts optimizer and learning rate again, after ``on_step``."""
        return ()

    def finalize(  # noqa: B027
        self, network: Network
    ) -> None:
        """Make the weights what will ship, in modules of ordinary classes with ordinary keys, after training.

        It is also called on untrained networks: those that are only timed, those whose trained weights are loaded
        afterwards, and those on the meta device that are only counted. Shapes must not depend on the values of weights.
        """

    def describe(self, network: Network) -> Mapping[str, Mapping[str, float | str]]:
        """What this policy did to each module, as JSON values: module path → kept fraction, realised density, bits."""
        return {}

    def regime(self) -> Regime | None:
        """How the policy makes weights sparse; None if it does not, or does not declare it."""
        return None

    @abstractmethod
    def account(self, network: Network) -> Mapping[str, float]:
        """Numbers about the network, each equal to a count over its tensors."""


POLICIES: Registry[type[Policy]] = Registry(
    "policies",
    {
        "precision": "nas.quantization.precision:Precision",
        "sparsity": "nas.sparsity.policy:Sparsity",
    },
    subclasses_of=Policy,
)


def check_conflicts(policies: Sequence[tuple[str, Policy]]) -> None:
    """Raise PlanError if two policies, given with their names, claim the same thing."""
    owner: dict[str, str] = {}
    for name, policy in policies:
        for claim in policy.claims:
            if claim in owner:
                raise PlanError(f"policies {owner[claim]!r} and {name!r} both change {claim}; keep one of them")
            owner[claim] = name


def ask_by_scope(
    chooser: Chooser,
    prefix: str,
    scope: Scope,
    sites: Sequence[Site],
    options: Sequence[Value],
    *,
    ordered: bool = True,
) -> dict[str, Value]:
    """Ask one question for the network, for each stage or for each site.

    A question about skipped slots only is asked as inactive.

    Returns:
        Module path of each active site → answer.
    """
    answers: dict[str, Value] = {}
    for group, members in group_by_scope(scope, sites).items():
        name = f"{prefix}.{group}" if group else prefix
        present = [site.module for site in members if site.active]
        answer = chooser.choose(name, options, ordered=ordered, active=bool(present), site=group)
        answers |= dict.fromkeys(present, answer)
    return answers


def group_by_scope(scope: Scope, sites: Sequence[Site]) -> dict[str, list[Site]]:
    """Sites that share a question, by their stage or site; with scope ``network``, all are under ``""``."""
    groups: dict[str, list[Site]] = {}
    for site in sites:
        groups.setdefault({"network": "", "stage": site.stage, "site": site.module}[scope], []).append(site)
    return groups
