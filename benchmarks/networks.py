"""Networks of search spaces with seeded weights, for benchmarks that need files but no training."""

from __future__ import annotations

from typing import Any

from nas.export.seeding import seed_weights
from nas.registry import make
from nas.space import Architecture, Network, SearchSpace
from nas.space.chooser import RandomChooser
from nas.space.sampling import Searched
from nas.tasks import make_task
from search_spaces import SPACES


class Networks:
    """Networks of one space for images of one size."""

    def __init__(self, spec: dict[str, Any], image_size: int) -> None:
        task = make_task("shapes", image_size=image_size)
        self.space: SearchSpace = make(SPACES.get(spec["name"]), spec, "space")
        self.shape = (1, *task.input_shape)
        self._searched = Searched(self.space, spec, (), task)

    def sample(self, seed: int) -> Architecture:
        """A random architecture."""
        return self._searched.sample(RandomChooser(seed)).architecture

    def build(self, architecture: Architecture, seed: int, bits: dict[str, int] | None = None) -> Network:
        """Build a finalised network with seeded weights; ``bits``: module path → bits of its weights."""
        network = self._searched.build(architecture, seed)
        network.bits.update(bits or {})
        seed_weights(network, self.shape, str(seed))
        network.finalize()
        return network

    def layers(self, architecture: Architecture, seed: int) -> list[str]:
        """Paths of the modules whose weight is an active site."""
        network = self._searched.build(architecture, seed)
        return [site.module for site in self.space.sites(network.model) if site.kind == "weight" and site.active]
