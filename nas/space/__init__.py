"""The language of spaces: one method builds, choosers answer, architectures remember.

``SearchSpace.build(chooser, task)`` is the whole definition of a space. Sampling is that method on the meta device
under a recording chooser; building is the same method under a strict replay; so the two cannot drift apart.
"""

from nas.space.architecture import Architecture, Network
from nas.space.chooser import Chooser, Question, Value
from nas.space.policy import POLICIES, Policy
from nas.space.regime import Regime
from nas.space.search_space import SearchSpace
from nas.space.site import Site
from nas.space.slot import slot

__all__ = [
    "POLICIES",
    "Architecture",
    "Chooser",
    "Network",
    "Policy",
    "Question",
    "Regime",
    "SearchSpace",
    "Site",
    "Value",
    "slot",
]
