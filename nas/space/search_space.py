"""Search spaces: one method that builds a network by asking."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nas.papers import Paper
from nas.space.site import Site, find_sites

if TYPE_CHECKING:
    from torch import nn

    from nas.space.chooser import Chooser
    from nas.tasks import Task


class SearchSpace(ABC):
    """A set of networks.

    The parameters are the plan's, keyword arguments with defaults, validated in the constructor (PlanError). ``build``
    must be a function of the chooser's answers, the parameters and the task alone, construct modules on torch's
    current default device, and follow three rules:

    - **Slots.** Every place has a stable name; state-dict keys depend on slot names only; a skipped slot keeps its
      place (``nas.space.slot``). The first path component is the stage.
    - **Fixed vector.** Questions of a skipped slot are asked with ``active=False``.
    - **Same options.** A name always comes with the same options; what does not fit this task is projected by the
    space.
    """

    #: Parameters that are paths. In a plan they are relative to the plan's folder, and arrive here absolute.
    paths: ClassVar[tuple[str, ...]] = ()
    #: The paper it is from.
    paper: Paper | None = None

    @abstractmethod
    def build(self, chooser: Chooser, task: Task) -> nn.Module:
        """The network the chooser's answers describe."""

    def sites(self, model: nn.Module) -> list[Site]:
        """The sites of a built network that policies may act on: all of them, if the space does not say otherwise."""
        return find_sites(model)

    def start(self) -> Mapping[str, Any]:
        """What its networks start from beside the seed, as JSON values: a part of every candidate's identity.

        Weights of a file, say (by their hash), or what of them is frozen.
        """
        return {}

    def trained(self, model: nn.Module) -> bool:
        """Whether a network of this space is trained as it is built: every tensor of it is from a file of weights."""
        return False

    @classmethod
    def examples(cls) -> Sequence[SearchSpace]:
        """Spaces of this class for the contract suite: one of each kind the parameters make."""
        return [cls()]
