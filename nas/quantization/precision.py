"""Precision policy: fp32 or int8, for the whole network, each stage or each site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

from nas.errors import PlanError
from nas.space.architecture import Network
from nas.space.chooser import Chooser
from nas.space.policy import Policy, Scope, ask_by_scope
from nas.space.site import Site

BITS = {"int8": 8, "fp32": 32}


class Precision(Policy):
    """Chooses the bits of weights and input activations.

    Int8 is static: weights symmetric per output channel, activations asymmetric per tensor, ranges calibrated on
    training data after training (see ``nas.export``). On ONNX Runtime choose one precision for the whole network
    (``scope: network``): every change between layers costs more than int8 saves there.

    Args:
        scope: ``network``, ``stage`` or ``site``: how many questions are asked.
        options: some of ``int8`` and ``fp32``.
    """

    claims = frozenset({"precision"})

    def __init__(self, scope: Scope = "network", options: Sequence[str] = ("int8", "fp32")) -> None:
        if scope not in get_args(Scope):
            raise PlanError(f"precision: scope {scope!r}; allowed: {', '.join(get_args(Scope))}")
        unknown = [option for option in options if option not in BITS]
        if unknown or not options:
            raise PlanError(f"precision: options {list(options)}; allowed: {', '.join(BITS)}, at least one")
        self.scope: Scope = scope
        # From cheap to dear, however the plan lists them.
        self.options = tuple(sorted(set(options), key=lambda option: BITS[option]))
        self._bits: dict[str, int] = {}

    def ask(self, chooser: Chooser, sites: Sequence[Site]) -> None:
        """Ask ``precision`` (``precision.<stage>``, ``precision.<site>``)."""
        weights = [site for site in sites if site.kind == "weight"]
        answers = ask_by_scope(chooser, "precision", self.scope, weights, self.options)
        self._bits = {path: BITS[str(answer)] for path, answer in answers.items()}

    def attach(self, network: Network) -> None:
        """Write the bits into the network."""
        network.bits.update(self._bits)

    def account(self, network: Network) -> Mapping[str, float]:
        """``weight_bits``: mean bits of a weight, weighted by size."""
        sizes = {
            path: network.model.get_submodule(path).weight.numel()  # type: ignore[operator]
            for path in self._bits
        }
        total = sum(sizes.values())
        bits = sum(self._bits[path] * size for path, size in sizes.items())
        return {"weight_bits": bits / total if total else 32.0}
