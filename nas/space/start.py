"""Starting weights from a file in place of random ones, and parameters that are never trained."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from nas.errors import PlanError
from nas.space.name_patterns import matching, name_patterns, some

logger = logging.getLogger(__name__)

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Start:
    """The state from which the training of a space's networks starts; ``apply`` puts a network into it."""

    #: Absolute path of the safetensors file.
    weights: str | None = None
    sha256: str = ""
    #: Whether every tensor of the file must be in the network and vice versa.
    strict: bool = False
    #: Patterns (fnmatch) of the names of parameters that are not trained.
    freeze: tuple[str, ...] = ()

    @classmethod
    def of(cls, weights: str | None, *, strict: bool = False, freeze: Sequence[str] = ()) -> Start:
        """Check the values of a plan and read the file's header.

        Raises:
            PlanError: there is no such file, it is not a safetensors file, or the patterns are not a list of strings.
        """
        patterns = name_patterns("freeze", freeze)
        if weights is None:
            return cls(freeze=patterns)
        path = Path(weights).expanduser().absolute()
        _shapes_in(path)
        return cls(str(path), hashlib.sha256(path.read_bytes()).hexdigest(), strict, patterns)

    def identity(self) -> dict[str, Any]:
        """What distinguishes this start from others, as JSON values; empty if all weights are random and trained."""
        found: dict[str, Any] = {"weights": self.sha256} if self.weights else {}
        return found | ({"freeze": sorted(self.freeze)} if self.freeze else {})

    def apply(self, model: nn.Module) -> None:
        """Load the weights in place and freeze parameters; on the meta device, only check that both are possible.

        The check logs which tensors are not taken from the file. Loading does not, because it happens in many
        processes.

        Raises:
            PlanError: the weights are those of another architecture, a pattern matches no parameter, or every parameter
                would be frozen.
        """
        if self.weights is not None:
            stored = _shapes_in(Path(self.weights))
            fitting = self._fitting(model, stored)
            if any(parameter.is_meta for parameter in model.parameters()):
                self._state(model, stored, fitting)
            else:
                _fill(model, Path(self.weights), fitting)
        self._freeze(model)

    def fills(self, model: nn.Module) -> bool:
        """Whether every tensor of a network is taken from the file."""
        if self.weights is None:
            return False
        fitting = self._fitting(model, _shapes_in(Path(self.weights)))
        return set(model.state_dict()) <= {*fitting, *_shared_names(model, fitting)}

    def _fitting(self, model: nn.Module, stored: Shapes) -> list[str]:
        """Names of the tensors that are taken from the file."""
        wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        fitting = [name for name, shape in wanted.items() if stored.get(name) == shape]
        file = Path(str(self.weights)).name
        # Biases, norms and counters of the same size are in many networks, so they prove nothing.
        if not any(len(wanted[name]) >= 2 for name in fitting):
            raise PlanError(
                f"weights: no kernel or matrix of {file} fits this {type(model).__name__}: "
                f"{_unlike(wanted, stored)}; give weights of the same architecture"
            )
        unlike = _differences(model, stored, fitting)
        if unlike and self.strict:
            raise PlanError(
                f"weights: {file} is not of this network: {some(unlike)}; give weights of this network, or "
                "set strict: false to load the tensors that fit"
            )
        return fitting

    def _state(self, model: nn.Module, stored: Shapes, fitting: list[str]) -> None:
        """Log once which tensors are not taken from the file."""
        if unlike := _differences(model, stored, fitting):
            taken = f"{len(fitting)} of {len(model.state_dict())} tensors are taken from it"
            _state_once(Path(str(self.weights)).name, f"{taken}; not: {some(unlike)}")

    def _freeze(self, model: nn.Module) -> None:
        if not self.freeze:
            return
        names = [name for name, _ in model.named_parameters()]
        frozen = set(matching("freeze", self.freeze, names))
        if frozen == set(names):
            raise PlanError(f"freeze: {', '.join(self.freeze)} freezes every parameter, so nothing would train")
        for name, parameter in model.named_parameters():
            if name in frozen:
                parameter.requires_grad_(False)


@cache
def _shapes_in(path: Path) -> Shapes:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise PlanError(
            f"weights: there is no file {path}; give a safetensors file, as a path relative to the plan's folder"
        ) from None
    except OSError as error:
        raise PlanError(f"weights: {path} can't be read: {error}") from None
    except SafetensorError:
        raise PlanError(
            f"weights: {path} is not a safetensors file, and only those are read; convert what torch.save wrote: "
            "torch.load(file, weights_only=True), then safetensors.torch.save_file for a state dict, or "
            "safetensors.torch.save_model for a network that was filled with it"
        ) from None


def _fill(model: nn.Module, path: Path, names: Sequence[str]) -> None:
    stored, state = load_file(path), model.state_dict()
    with torch.no_grad():
        for name in names:
            state[name].copy_(stored[name])


def _shared_names(model: nn.Module, present: Sequence[str]) -> set[str]:
    """Other names of parameters that are loaded under a name in ``present``, because files hold one name of each."""
    names = {name: id(parameter) for name, parameter in model.named_parameters(remove_duplicate=False)}
    filled = {names[name] for name in present if name in names}
    return {name for name, identity in names.items() if identity in filled}


def _unlike(wanted: Shapes, stored: Shapes) -> str:
    """How a file differs from a network: in shapes if some names are equal, otherwise in names."""
    common = sorted(name for name in wanted if name in stored and wanted[name] != stored[name])
    if common:
        return some([_difference(name, wanted[name], stored[name]) for name in common])
    return f"it has {some(sorted(stored))}, the network {some(sorted(wanted))}"


def _differences(model: nn.Module, stored: Shapes, fitting: Sequence[str]) -> list[str]:
    """Names of tensors that are not taken from a file, each with the reason."""
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    known = {*fitting, *_shared_names(model, fitting)}
    names = sorted(name for name in {**wanted, **stored} if name not in known)
    return [_difference(name, wanted.get(name), stored.get(name)) for name in names]


def _difference(name: str, wanted: tuple[int, ...] | None, stored: tuple[int, ...] | None) -> str:
    if wanted is None or stored is None:
        return f"{name} ({'missing in the file' if stored is None else 'unknown to the network'})"
    return f"{name} ({list(stored)} instead of {list(wanted)})"


@cache
def _state_once(file: str, message: str) -> None:
    logger.warning("weights: %s: %s", file, message)
