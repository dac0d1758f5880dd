"""Search spaces, choosers, architectures, sites and policies.

``SearchSpace.build(chooser, task)`` is the whole definition of a space. Sampling calls this method on the meta device
with a chooser that records its answers. Building calls the same method with a chooser that replays these answers
strictly. Both therefore always make the same network.
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
