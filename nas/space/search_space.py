"""Search spaces: one method that builds a network by asking."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from nas.space.chooser import Chooser
    from nas.tasks import Task


class SearchSpace(ABC):
    """A set of networks.

    The parameters are the plan's, keyword arguments with defaults, validated in the constructor (PlanError). ``build``
    must be a function of the chooser's answers, the parameters and the task alone, construct modules on torch's current default
    device, and follow three rules:

    - **Slots.** Every place has a stable name; state-dict keys depend on slot names only; a skipped slot keeps its
      place (``nn.Identity``). The first path component is the stage.
    - **Fixed vector.** Questions of a skipped slot are asked with ``active=False``.
    - **Same options.** A name always comes with the same options; what does not fit this task is projected by the space.
    """

    #: Row in the catalogue of papers, and what to cite.
    paper: str = ""

    @abstractmethod
    def build(self, chooser: Chooser, task: Task) -> nn.Module:
        """The network the chooser's answers describe."""


def describe(parameters: dict[str, Any]) -> str:
    """``"name (a=1, b=2)"`` of a plan's ``{"name": …, parameters…}``."""
    rest = ", ".join(f"{key}={value}" for key, value in parameters.items() if key != "name")
    return f"{parameters['name']} ({rest})" if rest else str(parameters["name"])
