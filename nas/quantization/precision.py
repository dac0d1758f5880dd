"""Precision policy: chooses the number of bits for the whole network, each stage or each site."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from torch import nn
from torch.utils.hooks import RemovableHandle

from nas.errors import PlanError
from nas.papers import Paper
from nas.quantization import aware
from nas.quantization.scheme import SYMMETRIES, Scheme
from nas.space.architecture import Network
from nas.space.chooser import Chooser
from nas.space.policy import Policy, Scope, ask_by_scope
from nas.space.site import Site
from nas.sparsity.packed import packed_bits

BITS = {"int4": 4, "int8": 8, "fp16": 16, "fp32": 32}


class Precision(Policy):
    """Makes the number of bits a choice of the search.

    ``int8`` computes in integers, with u8 activations in static ranges and s8 weights per output channel. ``int4`` and
    ``fp16`` store weights in fewer bits and compute in floats: they make a file smaller, not faster. The metrics are
    ``weight_bits``, the mean number of bits, and ``weight_bytes``, the size of all weights; weights in N:M patterns
    count without their zeros but with an index of log2(M) bits each.

    Args:
        scope: one choice for the ``network``, for each ``stage`` or for each ``site``. In ONNX Runtime, mixing
            precisions costs more than it saves on processors without int8 dot products (VNNI), and a 32-bit layer
            between two 8-bit layers is computed with 8 bits.
        options: precisions to choose from: ``int4``, ``int8``, ``fp16``, ``fp32``.
        weights: ``symmetric`` or ``asymmetric`` ranges of int8 and int4 weights; a list makes it a choice.
        activations: ``asymmetric`` or ``symmetric`` ranges of int8 activations; symmetric means zero point 128, or 0 if
            no value is negative; a list makes it a choice.
        calibration: name of a calibration, or a mapping of its ``name`` and parameters.
        full_range: use 8 bits for int8 weights instead of 7. This is for processors with VNNI and for ARM; a file whose
            sums overflow in the runtime is refused.
        block_size: number of int4 weights that share a scale: a power of two from 16. By default, and if blocks do not
            divide it, a whole output channel shares a scale.
        quantization_aware: share of training after which int8 and int4 layers are trained with rounding (Jacob et al.
            2018); by default they are never trained so.
    """

    paper = Paper(
        57,
        "SimQ-NAS / DyNAS-T (Nittur Sridhar et al. 2023)",
        "tests/contracts/test_precision.py::test_bits_round_trip_and_equal_networks_are_one",
    )
    claims = frozenset({"precision"})
    attaches_last = True

    def __init__(
        self,
        scope: Scope = "network",
        options: Sequence[str] = ("int8", "fp32"),
        weights: str | Sequence[str] = "symmetric",
        activations: str | Sequence[str] = "asymmetric",
        calibration: str | Mapping[str, Any] = "min_max",
        full_range: bool = False,
        block_size: int | None = None,
        quantization_aware: float | None = None,
    ) -> None:
        if scope not in get_args(Scope):
            raise PlanError(f"precision: scope {scope!r}; allowed: {', '.join(get_args(Scope))}")
        unknown = [option for option in options if option not in BITS]
        if unknown or not options:
            raise PlanError(f"precision: options {list(options)}; allowed: {', '.join(BITS)}, at least one")
        self.scope: Scope = scope
        # In ascending order of cost, in whatever order the plan lists them.
        self.options = tuple(sorted(set(options), key=lambda option: BITS[option]))
        self.precisions = frozenset(self.options)
        self._symmetries = {"weights": _listed("weights", weights), "activations": _listed("activations", activations)}
        shared = Scheme(
            calibration={"name": calibration} if isinstance(calibration, str) else dict(calibration),
            full_range=full_range,
            block_size=block_size,
            aware_from=quantization_aware,
        )
        self._shared = shared
        self._sites: dict[str, Site] = {}
        self._bits: dict[str, int] = {}
        self._schemes: dict[str, Scheme] = {}
        self._hooks: dict[str, RemovableHandle | None] = {}
        self._on = False

    def ask(self, chooser: Chooser, sites: Sequence[Site]) -> None:
        """Ask ``precision`` (per stage ``precision.<stage>``, per site ``precision.<site>``) and listed symmetries."""
        weights = [site for site in sites if site.kind == "weight"]
        self._sites = {site.module: site for site in weights if site.active}
        asked = [replace(site, active=site.active and not site.full_precision) for site in weights]
        answers = ask_by_scope(chooser, "precision", self.scope, asked, self.options)
        self._bits = dict.fromkeys(self._sites, 32) | {path: BITS[str(answer)] for path, answer in answers.items()}
        found = {
            "weights": self._ask_symmetry(chooser, "weights", asked, (4, 8)),
            "activations": self._ask_symmetry(chooser, "activations", asked, (8,)),
        }
        for path, bits in self._bits.items():
            if bits < 16:
                chosen = {name: answers[path] for name, answers in found.items() if path in answers}
                self._schemes[path] = _relevant(replace(self._shared, **chosen), bits)

    def leave(self, sites: Sequence[Site]) -> None:
        """Give every weight 32 bits; see ``Policy.leave``."""
        self._sites = {site.module: site for site in sites if site.kind == "weight" and site.active}
        self._bits = dict.fromkeys(self._sites, 32)

    def attach(self, network: Network) -> None:
        """Write bits and schemes into the network, and prepare layers for quantization-aware training."""
        for path, bits in self._bits.items():
            network.bits |= dict.fromkeys(self._sites[path].layers, bits)
        for path, scheme in self._schemes.items():
            for layer in self._sites[path].layers:
                module = network.model.get_submodule(layer)
                scheme.annotate(module)
                if scheme.aware_from is not None:
                    self._hooks[layer] = aware.attach(module, self._bits[path], scheme)

    def on_step(self, network: Network, step: int, total_steps: int) -> None:
        """Switch on rounding at its step of the training."""
        begins = self._shared.aware_from
        if self._hooks and begins is not None and not self._on and step >= begins * total_steps:
            aware.switch(network.model, True)
            self._on = True

    def finalize(self, network: Network) -> None:
        """Remove the rounding; exporters later round the weights to the same integers."""
        for path, handle in self._hooks.items():
            aware.detach(network.model.get_submodule(path), handle)
        self._hooks.clear()

    def describe(self, network: Network) -> Mapping[str, Mapping[str, float | str]]:
        """``bits`` of each site, and the schemes of sites that use integers."""
        found: dict[str, dict[str, float | str]] = {path: {"bits": bits} for path, bits in self._bits.items()}
        for path, scheme in self._schemes.items():
            found[path]["weights"] = scheme.weights
            if self._bits[path] == 8:
                found[path] |= {"activations": scheme.activations, "calibration": str(scheme.calibration["name"])}
        return {layer: facts for path, facts in found.items() for layer in self._sites[path].layers}

    def account(self, network: Network) -> Mapping[str, float]:
        """``weight_bits``: mean bits per weight; ``weight_bytes``: bytes of all weights, with N:M patterns packed."""
        shapes = {path: self._shape(network, path) for path in self._sites}
        sizes = {path: math.prod(shape) for path, shape in shapes.items()}
        total = sum(sizes.values())
        bits = sum(self._bits[path] * size for path, size in sizes.items())
        packed = sum(
            packed_bits(network.model.get_submodule(path), shape, self._bits[path]) for path, shape in shapes.items()
        )
        return {"weight_bits": bits / total if total else 32.0, "weight_bytes": packed / 8}

    def _shape(self, network: Network, path: str) -> tuple[int, ...]:
        """Current shape of a weight, from which channels may have been removed."""
        module = network.model.get_submodule(path)
        return tuple(module.weight.shape) if isinstance(module, nn.Conv2d | nn.Linear) else self._sites[path].shape

    def _ask_symmetry(
        self, chooser: Chooser, name: str, sites: Sequence[Site], bits: Sequence[int]
    ) -> Mapping[str, Any]:
        """Symmetry of each site whose bits are among ``bits``; asked if the plan lists several."""
        options = self._symmetries[name]
        matters = [replace(site, active=site.active and self._bits[site.module] in bits) for site in sites]
        if len(options) == 1:
            return {site.module: options[0] for site in matters if site.active}
        return ask_by_scope(chooser, f"precision_{name}", self.scope, matters, options, ordered=False)


def _listed(name: str, symmetry: str | Sequence[str]) -> tuple[str, ...]:
    listed = (symmetry,) if isinstance(symmetry, str) else tuple(dict.fromkeys(symmetry))
    if not listed or not set(listed) <= set(SYMMETRIES):
        raise PlanError(f"precision: {name} {symmetry!r}; allowed: {', '.join(SYMMETRIES)}, or a list of them")
    return listed


def _relevant(scheme: Scheme, bits: int) -> Scheme:
    """The scheme without settings that have no effect at ``bits``, so that equal networks have equal schemes."""
    if bits == 8:
        return replace(scheme, block_size=None)
    default = Scheme()
    return replace(
        scheme, activations=default.activations, calibration=default.calibration, full_range=default.full_range
    )
