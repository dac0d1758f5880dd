"""Small networks as users of torch write them, one habit each.

Each takes images of 16×16 pixels. It is made by ``factory(num_classes=10, in_chans=1)`` if the factory accepts these
arguments. A plan names it by ``factory_name``.
"""

from collections.abc import Callable
from inspect import isclass
from types import ModuleType

from torch import nn

from tests.contracts.habits import arguments, construction, flow, functional, hooks, layers, shapes, sharing

IMAGE_SIZE = 16


def _of(module: ModuleType) -> dict[str, Callable[..., nn.Module]]:
    found = {}
    for name, item in vars(module).items():
        here = getattr(item, "__module__", "") == module.__name__ and not name.startswith("_")
        if here and (not isclass(item) or (issubclass(item, nn.Module) and item is not sharing.StandardizedConv)):
            found[f"{module.__name__.rpartition('.')[2]}.{name}"] = item
    return found


#: ``file.name`` → factory.
HABITS: dict[str, Callable[..., nn.Module]] = {
    name: factory
    for module in (sharing, hooks, arguments, shapes, functional, layers, construction, flow)
    for name, factory in _of(module).items()
}


def factory_name(name: str) -> str:
    """The name by which a plan refers to the factory of a habit."""
    factory = HABITS[name]
    return f"{factory.__module__}:{factory.__qualname__}"
