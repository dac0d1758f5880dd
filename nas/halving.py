"""Successive halving: trainings are compared after a few epochs, and only the best of them go on."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Halving(BaseModel):
    """Compares trainings at rungs, and continues the best of each rung (ASHA, Li et al. 2020).

    A rung is a number of epochs. The first rung is ``first_epochs``; each further one has ``factor`` times as many
    epochs, as long as that is less than a full training. Of the trainings that have reached a rung, one in ``factor``
    continues to the next rung, and from the last rung to the end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: One training in this number continues from each rung.
    factor: Annotated[int, Field(ge=2)] = 3
    #: Number of epochs of the first rung; by default a full training divided by ``factor`` squared, at least 1.
    first_epochs: Annotated[int, Field(ge=1)] | None = None

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """Numbers of epochs after which a training of ``epochs`` epochs waits; empty if it is too short for any."""
        found, rung = [], self.first_epochs or max(1, epochs // self.factor**2)
        while rung < epochs:
            found.append(rung)
            rung *= self.factor
        return tuple(found)

    def share(self, epochs: int) -> float:
        """Expected share of the epochs of full trainings, if one in ``factor`` continues from each rung."""
        ends = [*self.rungs(epochs), epochs]
        parts = zip([0, *ends], ends, strict=False)
        trained = [(end - start) / float(self.factor**place) for place, (start, end) in enumerate(parts)]
        return sum(trained) / epochs
