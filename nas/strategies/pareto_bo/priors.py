"""What a user believes about the answers of good networks, with decaying influence (Hvarfner et al. 2022, πBO)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nas.strategies.pareto_bo.codes import INACTIVE, Coder, Floats, Levels

#: The exponent of the prior is this number divided by the number of results.
_STRENGTH = 10.0


class Priors:
    """Independent beliefs about the answers to questions.

    Args:
        chances: question → positive weight of each of its options, in their order.
    """

    def __init__(self, chances: Mapping[str, Sequence[float]]) -> None:
        self.chances = chances

    def factors(self, coder: Coder, levels: Levels, num_results: int) -> Floats:
        """Factors ``(n,)`` of the expected gains of networks with the levels ``(n, d)``, at most 1.

        The factor is the probability of the answers, relative to the most probable ones, to the power of
        ``10 / num_results``. Answers without effect do not count.
        """
        logarithm = np.zeros(len(levels))
        for place, question in enumerate(coder.questions):
            if question.name in self.chances:
                chances = np.array(self.chances[question.name], dtype=np.float64)
                relative = np.log(chances / chances.max())
                logarithm += np.where(levels[:, place] == INACTIVE, 0.0, relative[levels[:, place]])
        return np.asarray(np.exp(logarithm * _STRENGTH / max(1, num_results)))

    def drawn(self, count: int, coder: Coder, generator: np.random.Generator) -> Levels:
        """Indices ``(count, d)`` of random answers; uniform ones to questions without a belief."""
        columns = []
        for question, size in zip(coder.questions, coder.sizes, strict=True):
            chances = np.array(self.chances.get(question.name, [1.0] * size), dtype=np.float64)
            columns.append(generator.choice(size, count, p=chances / chances.sum()))
        return np.stack(columns, axis=1) if columns else np.empty((count, 0), dtype=np.int64)
