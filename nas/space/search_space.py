"""Search spaces: a method that builds a network and asks a chooser for every choice."""

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

    The parameters of the constructor are keyword arguments with defaults. A plan gives them, and the constructor
    validates them (PlanError). ``build`` must depend only on the chooser's answers, the parameters and the task, must
    construct modules on torch's current default device, and must follow three rules:

    - **Slots.** Every place of the network has a stable name, and state-dict keys depend on these names only. A skipped
      slot keeps its place (``nas.space.slot``). The first part of a path is the stage. - **Fixed vector.** Questions of
      a skipped slot are asked with ``active=False``. - **Same options.** A question always has the same options. If an
      option does not fit the task, the space replaces it by the nearest one that does.
    """

    #: Names of parameters that are paths. A plan gives them relative to its folder; the constructor gets absolute
    #: paths.
    paths: ClassVar[tuple[str, ...]] = ()
    #: The paper that the space is from.
    paper: Paper | None = None

    @abstractmethod
    def build(self, chooser: Chooser, task: Task) -> nn.Module:
        """Build the network that the chooser's answers describe."""

    def sites(self, model: nn.Module) -> list[Site]:
        """The sites of a built network that policies may change; all sites by default."""
        return find_sites(model)

    def start(self) -> Mapping[str, Any]:
        """The starting point of networks besides the seed, as JSON values; it is a part of every candidate's identity.

        Examples are the hash of a file of weights, and which parameters are frozen.
        """
        return {}

    def trained(self, model: nn.Module) -> bool:
        """Whether a newly built network is already trained, because all its tensors are from a file of weights."""
        return False

    @classmethod
    def examples(cls) -> Sequence[SearchSpace]:
        """Spaces of this class for the contract suite, one for each kind that the parameters can make."""
        return [cls()]
