"""Calls a user's factory, checks the network that it makes, and turns its exceptions into messages."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from nas.errors import NasError, SpaceError
from nas.space.modes import evaluating
from nas.tasks import Task
from nas.user_code import describe_error

Factory = Callable[..., nn.Module]


def make_network(factory: Factory, name: str, task: Task) -> nn.Module:
    """Call a factory on torch's current default device.

    A constructor that looks at values (``.item()``) can't run on the meta device. It then runs on the CPU, and the
    network is moved to the meta device afterwards.

    Raises:
        SpaceError: the factory raises an error or does not return a module, or the module can't be used here.
    """
    if torch.get_default_device().type != "meta":
        return _made(factory, name, task)
    try:
        return _made(factory, name, task)
    except NasError:
        with torch.device("cpu"), torch.random.fork_rng(devices=[]):
            return _made(factory, name, task).to("meta")


def _made(factory: Factory, name: str, task: Task) -> nn.Module:
    made = _call(factory, name, {"num_classes": task.num_outputs, "in_chans": task.input_shape[0]})
    if not isinstance(made, nn.Module):
        raise SpaceError(f"module: {name} returns {type(made).__name__}, not a torch.nn.Module; let it return one")
    with _explained(f"{name}: the first call of its lazy layers, with an input {(1, *task.input_shape)},"):
        _initialize_lazy_layers(made, task)
    _check_types(made, name)
    _check_memory(made, name)
    return made


def _call(factory: Factory, name: str, offered: Mapping[str, Any]) -> Any:
    parameters = inspect.signature(factory).parameters.values()
    given = {key: value for key, value in offered.items() if key in {parameter.name for parameter in parameters}}
    variable = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    _check_required(parameters, given, name)
    with _explained(name):
        return _call_with_any(factory, given, offered) if variable else factory(**given)


def _call_with_any(factory: Factory, given: Mapping[str, Any], offered: Mapping[str, Any]) -> Any:
    """Call a factory that takes ``**kwargs`` with all arguments, without those that the function inside refuses."""
    given = {**offered, **given}
    while True:
        try:
            return factory(**given)
        except TypeError as error:
            unknown = [key for key in given if f"unexpected keyword argument '{key}'" in str(error)]
            if not unknown:
                raise
            given = {key: value for key, value in given.items() if key not in unknown}


def _check_required(parameters: Any, given: Mapping[str, Any], name: str) -> None:
    named = [item for item in parameters if item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)]
    missing = [item.name for item in named if item.default is item.empty and item.name not in given]
    if missing:
        raise SpaceError(
            f"module: {name} needs {', '.join(missing)}, but a factory is given num_classes and in_chans only; "
            "give the others defaults, or name a function that fills them in"
        )


@contextmanager
def _explained(who: str) -> Iterator[None]:
    try:
        yield
    except NasError:
        raise
    except (Exception, SystemExit) as error:
        raise SpaceError(f"module: {who} raised {describe_error(error)}; the network is not made") from error


def _initialize_lazy_layers(model: nn.Module, task: Task) -> None:
    if not any(map(is_lazy, _tensors(model).values())):
        return
    with evaluating(model), torch.no_grad():
        model(torch.zeros(1, *task.input_shape))
    for path, tensor in _tensors(model).items():
        if is_lazy(tensor):
            raise SpaceError(f"module: the lazy layer with {path} is never called, so its shape is unknown; remove it")


def _check_types(model: nn.Module, name: str) -> None:
    """Refuse parameters that are not float32, because networks are trained in 32 bits."""
    others = {
        path: str(tensor.dtype).removeprefix("torch.")
        for path, tensor in model.named_parameters()
        if (tensor.is_floating_point() or tensor.is_complex()) and tensor.dtype is not torch.float32
    }
    if others:
        path, kind = next(iter(others.items()))
        raise SpaceError(
            f"module: {name} has {len(others)} parameters that are not float32, such as {path} of {kind}; networks are "
            "trained in 32 bits: leave out .half(), .bfloat16(), .double() and dtype=; a policy precision with fp16 "
            "stores weights in 16 bits, estimator.amp trains in fewer on a GPU"
        )


def _check_memory(model: nn.Module, name: str) -> None:
    """Refuse two parameters over the same memory, because moving or copying the network would separate them."""
    spans = sorted(
        (tensor.untyped_storage()._cdata, tensor.storage_offset(), tensor.numel(), path)
        for path, tensor in model.named_parameters()
        if tensor.numel()
    )
    for (memory, start, length, path), (next_memory, next_start, _, other) in pairwise(spans):
        if memory == next_memory and next_start < start + length:
            raise SpaceError(
                f"module: in {name}, {path} and {other} are two parameters that share memory; make them one "
                "parameter (self.b.weight = self.a.weight), or copy one (.detach().clone())"
            )


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return dict(model.named_parameters()) | dict(model.named_buffers())
