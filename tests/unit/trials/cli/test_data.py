from __future__ import annotations

import pytest

from nas.tasks import DataSummary
from trials.cli.data import print_data


def test_the_data_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    counts = {"train": [5, 4], "validation": [2, 1], "test": [1, 1]}
    sizes = {"smallest": (9, 8), "median": (20, 30), "largest": (90, 80)}
    data = DataSummary(("cat[/x]", "dog"), counts, sizes, {"dog/3.png": "it is empty"}, ("2 images are in CMYK",))  # type: ignore[arg-type]
    print_data(data)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "class train validation test",
        "all 2 9 3 2",
        "cat[/x] 5 2 1",
        "dog 4 1 1",
        "image sizes: smallest 9×8, median 20×30, largest 90×80",
        "2 images are in CMYK",
        "skipped: dog/3.png: it is empty",
    ]
