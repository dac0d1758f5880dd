"""Networks that are built to be compared for a proposal, and what is remembered of those that were built before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from nas.space.chooser import Chooser, FixedVectorChooser
from nas.strategies import Suggestion
from nas.strategies.pareto_bo.codes import Coder, Levels, levels_of

T = TypeVar("T")
#: Largest number of networks that are remembered, the newest ones.
_REMEMBERED = 4096


@dataclass(frozen=True)
class Listed(Generic[T]):
    """A network of a shortlist.

    Attributes:
        places: indices ``(d,)`` of its answers.
        levels: its levels ``(d,)``.
        features: its features.
        built: its suggestion, and the object that ``build`` returned; None if it was built for an earlier proposal.
    """

    places: Levels
    levels: Levels
    features: Mapping[str, float]
    built: tuple[Suggestion, T] | None


class BuiltNetworks:
    """Levels and features of networks that were built, so that a network is not built again for each comparison.

    Successive shortlists have many networks in common. What is remembered does not change the proposals: building the
    same answers again would give the same features.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[Levels, Mapping[str, float]]] = {}

    def listed(self, coder: Coder, places: Levels, build: Callable[[Chooser], T], number: int) -> Listed[T]:
        """The network with the answers ``places`` ``(d,)``, built if necessary, for suggestion ``number``."""
        key = places.tobytes()
        if key in self._known:
            return Listed(places, *self._known[key], None)
        suggestion, built = built_suggestion(coder, places, build, number)
        levels, features = levels_of(coder, suggestion), features_of(built)
        self._known[key] = levels, features
        if len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]
        return Listed(places, levels, features, (suggestion, built))


def built_suggestion(coder: Coder, places: Levels, build: Callable[[Chooser], T], number: int) -> tuple[Suggestion, T]:
    """Build the network with the answers ``places`` ``(d,)``; return its suggestion and what ``build`` returned."""
    chooser = FixedVectorChooser(coder.answers(places))
    built = build(chooser)
    return Suggestion.from_chooser(number, chooser), built


def features_of(built: object) -> Mapping[str, float]:
    """The features of what ``build`` returned; empty if it is not ``Described``."""
    features: Mapping[str, float] = getattr(built, "features", {})  # isinstance with a protocol is much slower
    return features
