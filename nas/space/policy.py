"""Policies: compression choices that are orthogonal to spaces."""

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
    """Acts on the sites of a network by five verbs: ask, attach, on_step, finalize, account.

    One object serves one network: ``ask`` keeps the answers that ``attach`` applies. The parameters are the
    plan's, keyword arguments with defaults, validated in the constructor (PlanError).
    """

    #: What it changes (``"weights"``, ``"precision"``); two policies of a plan may not share one.
    claims: frozenset[str]
    #: Options of precision its networks may have: what a target's runtime must know.
    precisions: frozenset[str] = frozenset()
    #: Names of the patterns the weights of its networks may have.
    patterns: Collection[str] = ()
    #: Whether it is attached after the others, and finalized before them: who rounds sees what others leave.
    attaches_last: bool = False
    #: Parameters under which its masks are random and fixed, at the density that is chosen; None if it has no masks.
    random_masks: ClassVar[Mapping[str, Any] | None] = None

    @abstractmethod
    def ask(self, chooser: Chooser, sites: Sequence[Site]) -> None:
        """Ask the questions of this policy and keep the answers."""

    def leave(self, sites: Sequence[Site]) -> None:
        """Take the place of ``ask`` for a network that stays as it is: ask nothing and change none of the sites."""
        self.ask(PositionChooser(1.0), ())

    @abstractmethod
    def attach(self, network: Network) -> None:
        """Put the answers on a freshly built network."""

    def on_step(  # noqa: B027  (most policies have no schedule)
        self, network: Network, step: int, total_steps: int
    ) -> None:
        """Before optimizer step ``step`` (from 0) of ``total_steps``.

        With ``step`` equal to ``total_steps`` once, where training goes on without this policy.
        """

    def restarts(self, network: Network, total_steps: int) -> Sequence[int]:
        """Steps before which training starts optimizer and learning rate anew, after ``on_step``."""
        return ()

    def finalize(  # noqa: B027
        self, network: Network
    ) -> None:
        """After training: make the weights what will ship, in modules of ordinary classes with ordinary keys.

        Also called on untrained networks: one that is only timed, one whose trained weights are loaded afterwards,
        and one on the meta device that is only counted. Shapes must not depend on the values of weights.
        """

    def describe(self, network: Network) -> Mapping[str, Mapping[str, float | str]]:
        """Module path → what this policy did there, as JSON values: kept fraction, realised density, bits."""
        return {}

    def regime(self) -> Regime | None:
        """How it makes weights sparse; None if it does not, or does not say."""
        return None

    @abstractmethod
    def account(self, network: Network) -> Mapping[str, float]:
        """Numbers that equal brute-force counts over the network's tensors."""


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
    """Ask one question for the network, each stage or each site; active site's module path → answer.

    A question about skipped slots alone is asked as inactive.
    """
    answers: dict[str, Value] = {}
    for group, members in group_by_scope(scope, sites).items():
        name = f"{prefix}.{group}" if group else prefix
        present = [site.module for site in members if site.active]
        answer = chooser.choose(name, options, ordered=ordered, active=bool(present), site=group)
        answers |= dict.fromkeys(present, answer)
    return answers


def group_by_scope(scope: Scope, sites: Sequence[Site]) -> dict[str, list[Site]]:
    """Sites by the stage or site they share a question with; all under ``""`` for the network."""
    groups: dict[str, list[Site]] = {}
    for site in sites:
        groups.setdefault({"network": "", "stage": site.stage, "site": site.module}[scope], []).append(site)
    return groups
