from __future__ import annotations

from torch import nn

from nas.space import Chooser, SearchSpace
from nas.tasks import Task, make_task
from trials.plans.choices import choices_of


class Asks(SearchSpace):
    def build(self, chooser: Chooser, task: Task) -> nn.Module:
        chooser.choose("mode", ["a", "b"])
        for stage, widths in ((1, [8, 16]), (2, [16, 32])):
            chooser.choose(f"stage{stage}.width", widths, ordered=True)
            for block in (1, 2):
                chooser.choose(f"stage{stage}.block{block}.kernel", [3, 5], ordered=True, active=block == 1)
        return nn.Flatten()


def test_places_that_ask_alike_are_one_row() -> None:
    rows = {row.pop("choice"): row for row in choices_of(Asks(), make_task("digits", image_size=8))}
    assert rows == {
        "mode": {"places": 1, "ordered": False, "options": ["a", "b"]},
        "stage1.width": {"places": 1, "ordered": True, "options": [8, 16]},
        "stage2.width": {"places": 1, "ordered": True, "options": [16, 32]},
        "stage*.block*.kernel": {"places": 4, "ordered": True, "options": [3, 5]},
    }
