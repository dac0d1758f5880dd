"""Sparsity policy: chooses the weights to remove, for the whole network, each stage or each site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, get_args

from nas.errors import PlanError
from nas.registry import make
from nas.space.architecture import Network
from nas.space.chooser import Chooser, Value
from nas.space.policy import Policy, Scope, group_by_scope
from nas.space.regime import Regime
from nas.space.site import Site
from nas.sparsity import ALLOCATIONS, PATTERNS, SCHEDULES, Layer, Pattern, Schedule
from nas.sparsity.masked import Choice, Masked
from nas.sparsity.unchanged import unchanged

Names = str | Sequence[str]


class Sparsity(Policy):
    """Makes the kept weights a choice of the search.

    The choices are how many weights are kept (density), in which pattern, and how the density is distributed over the
    layers (allocation). One schedule removes the weights. Density 1 is the dense network, bit for bit. Only lists with
    more than one item become choices. The metric is ``density``, the share of weights that all convolutions and linear
    layers really keep.

    Some layers stay dense: those that a space declares as dense (they can still lose inputs whose channels were
    removed), those that a pattern can't act on, and those that keep all their atoms at the density.

    Whether zeros make a network faster depends on the runtime. In ONNX Runtime and OpenVINO, only ``channels`` does.
    ``openvino_kernels`` skips zeros of every pattern, but only in 1×1 convolutions and linear layers in fp32: a sparse
    3×3 convolution gains nothing. See ``docs/how-to/really-faster.md``.

    Args:
        scope: one set of choices for the ``network``, for each ``stage`` or for each ``site``.
        patterns: patterns to choose from.
        densities: fractions of weights to keep, above 0 and up to 1. With the pattern ``channels`` they are fractions
            of channels: 0.5 keeps half of the channels and about a quarter of the weights.
        allocation: an allocation, or a list to choose from.
        schedule: name of a schedule, or a mapping of its ``name`` and parameters.
        seed: seed of random masks.
    """

    claims = frozenset({"weights"})
    random_masks: ClassVar[Mapping[str, Any]] = {"schedule": "static_random"}

    def __init__(
        self,
        scope: Scope = "network",
        patterns: Names = ("unstructured",),
        densities: Sequence[float] = (0.1, 0.25, 0.5, 1.0),
        allocation: Names = "uniform",
        schedule: str | Mapping[str, Any] = "gradual",
        seed: int = 0,
    ) -> None:
        if scope not in get_args(Scope):
            raise PlanError(f"sparsity: scope {scope!r}; allowed: {', '.join(get_args(Scope))}")
        self.scope: Scope = scope
        self.patterns: dict[str, Pattern] = {name: PATTERNS.get(name) for name in _names("patterns", patterns)}
        self.densities = _densities(densities)
        self.allocations = {name: ALLOCATIONS.get(name) for name in _names("allocation", allocation)}
        self.schedule_spec = {"name": schedule} if isinstance(schedule, str) else dict(schedule)
        self.schedule = _schedule(self.schedule_spec)
        refused = [name for name, pattern in self.patterns.items() if not self.schedule.allows(pattern)]
        if refused:
            raise PlanError(
                f"sparsity: schedule {self.schedule_spec['name']!r} can't use the patterns {', '.join(refused)}; "
                "choose another schedule, or leave these patterns out"
            )
        self.seed = seed
        self._sites: list[str] = []
        self._shared: dict[str, tuple[str, ...]] = {}
        self._choices: dict[str, Choice] = {}
        self._masked: Masked | None = None

    def ask(self, chooser: Chooser, sites: Sequence[Site]) -> None:
        """Ask ``sparsity.density``, ``.pattern`` and ``.allocation``; for a group, ``sparsity.density.<group>`` etc."""
        self.leave(sites)
        prunable = [site for site in sites if site.kind == "weight" and not site.dense]
        for group, members in group_by_scope(self.scope, prunable).items():
            self._ask_group(chooser, group, [site for site in members if site.active])

    def leave(self, sites: Sequence[Site]) -> None:
        """Leave every weight dense; see ``Policy.leave``."""
        weights = [site for site in sites if site.kind == "weight" and site.active]
        self._sites = [site.module for site in weights]
        self._shared = {site.module: site.shared for site in weights}

    def _ask_group(self, chooser: Chooser, group: str, present: Sequence[Site]) -> None:
        def ask(what: str, options: Sequence[Value], *, active: bool, ordered: bool = False) -> Any:
            if len(options) == 1:
                return options[0]
            name = f"sparsity.{what}.{group}" if group else f"sparsity.{what}"
            return chooser.choose(name, options, ordered=ordered, active=active, site=group)

        density = ask("density", self.densities, active=bool(present), ordered=True)
        sparse = bool(present) and density < 1
        name = ask("pattern", list(self.patterns), active=sparse)
        own = self.patterns[name].own_density
        shared = sparse and own is None and self.scope != "site"
        allocation = ask("allocation", list(self.allocations), active=shared)
        if not sparse:
            return
        sites = [site for site in present if self.patterns[name].acts_on(site.shape)]
        densities = self._shared_out(sites, allocation, density) if shared else [own or density] * len(sites)
        for site, value in zip(sites, densities, strict=True):
            # Rounded, so that two allocations with equal results are one candidate.
            self._choices[site.module] = Choice(name, self.patterns[name], round(value, 6))

    def _shared_out(self, sites: Sequence[Site], allocation: str, density: float) -> list[float]:
        first, last = self._sites[0], self._sites[-1]
        layers = [Layer(site.shape, first=site.module == first, last=site.module == last) for site in sites]
        return self.allocations[allocation].densities(layers, density) if layers else []

    def attach(self, network: Network) -> None:
        """Put masks on weights that are not dense, and start the schedule."""
        masked = self._masked = Masked.of(network.model, self.seed)
        structured = {path: item for path, item in self._choices.items() if item.pattern.structure == "structured"}
        if structured:
            masked.mask_channels(structured, network.input_shape)
        for path, choice in self._choices.items():
            if path not in structured:
                masked.mask_weight(path, choice, self.schedule.make_mask, last=path == self._sites[-1])
        for path, (choice, part) in masked.chosen.items():
            module: Any = network.model.get_submodule(path)
            note = {"pattern": choice.name, "density": part.density, "schedule": self.schedule_spec, "seed": self.seed}
            # The allocation is not noted, because the density contains its effect.
            module.policy_annotations = {**getattr(module, "policy_annotations", {}), "sparsity": note}
        if masked.parts and not masked.on_meta:
            self.schedule.start(network.model, masked.parts)

    def on_step(self, network: Network, step: int, total_steps: int) -> None:
        """Let the schedule update the masks."""
        if self._attached.parts:
            self.schedule.on_step(network.model, self._attached.parts, step, total_steps)

    def restarts(self, network: Network, total_steps: int) -> Sequence[int]:
        """Steps before which the schedule restarts optimizer and learning rate."""
        return self.schedule.restarts(total_steps) if self._attached.parts else ()

    def finalize(self, network: Network) -> None:
        """Bring masks to their final density, write them into the weights, and remove pruned channels."""
        if self._attached.parts and not self._attached.on_meta:
            self.schedule.finish(network.model, self._attached.parts)
        if self._attached.parts:
            with unchanged(network.model, network.input_shape):
                self._attached.bake()

    def describe(self, network: Network) -> Mapping[str, Mapping[str, float | str]]:
        """Pattern, schedule, chosen density, realised density and sparsity of every weight."""
        found: dict[str, Mapping[str, float | str]] = {}
        for path in self._sites:
            facts: dict[str, float | str] = {"pattern": "dense", "density": 1.0}
            if path in self._attached.chosen:
                choice, part = self._attached.chosen[path]
                schedule = str(self.schedule_spec["name"])
                facts = {"pattern": choice.name, "density": part.density, "schedule": schedule}
            realised = self._attached.realised_density(path, self.schedule.final_density)
            if self._attached.own_kept(path) is not None:
                facts = {"pattern": "of the layer", "density": realised}
            facts = {**facts, "realised_density": realised, "sparsity": 1.0 - realised}
            found |= dict.fromkeys((path, *self._shared[path]), facts)
        return found

    def regime(self) -> Regime | None:
        """The regime that schedule and patterns declare; None if one of the user's own does not declare it."""
        when, dynamic = (getattr(self.schedule, name, None) for name in ("when", "dynamic"))
        structures = [getattr(pattern, "structure", None) for pattern in self.patterns.values()]
        if None in (when, dynamic, *structures):
            return None
        return Regime(when, dynamic, tuple(dict.fromkeys(structures)))  # type: ignore[arg-type]

    def account(self, network: Network) -> Mapping[str, float]:
        """``density``: non-zeros of all convolutions and linear layers, divided by their weights when dense."""
        sizes = {path: self._attached.size(path) for path in self._attached.shapes}
        kept = sum(self._attached.num_kept(path, self.schedule.final_density) for path in sizes)
        return {"density": kept / sum(sizes.values()) if sizes else 1.0}

    @property
    def _attached(self) -> Masked:
        assert self._masked is not None, "attach comes first"
        return self._masked


def _names(parameter: str, given: Names) -> list[str]:
    names = [given] if isinstance(given, str) else list(given)
    if not names or len(set(names)) < len(names):
        raise PlanError(f"sparsity: {parameter} {names}; name at least one, none of them twice")
    return names


def _densities(given: Sequence[float]) -> list[float]:
    """The densities in ascending order, in whatever order the plan lists them."""
    for value in given:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
            raise PlanError(
                f"sparsity: density {value!r} is a kept fraction, above 0 and up to 1 (dense); "
                "a layer without weights would cut the network"
            )
    if not given:
        raise PlanError("sparsity: densities is empty; give kept fractions such as [0.25, 0.5, 1.0]")
    return sorted({float(value) for value in given})


def _schedule(spec: Mapping[str, Any]) -> Schedule:
    if "name" not in spec:
        raise PlanError(f"sparsity: schedule {dict(spec)!r} has no name; known: {', '.join(SCHEDULES.names())}")
    schedule: Schedule = make(SCHEDULES.get(spec["name"]), spec, "schedule")
    return schedule
