"""Real studies that start with the user's own network as it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas.export.weights import save_weights
from search_spaces.module import three_layers
from tests.integration.forks import nas
from trials.coordinator.original import NUMBER
from trials.store.read.points import points
from trials.store.read.rows import study_row
from trials.store.store import Store

MODULE = {"name": "module", "factory": "search_spaces.module:three_layers"}
FAST = {
    "task": {"name": "digits", "image_size": 8},
    "space": MODULE,
    "policies": [{"name": "sparsity", "patterns": ["channels"], "densities": [0.25, 0.5]}],
    "strategy": {"name": "nsga2"},
    "estimator": {"name": "training", "epochs": 1},
    "measure": {"precision": 0.3, "budget_s": 0.5, "audit": 0.0, "canary_every": 0},
}
#: The first trial, the original, exceeds the limit itself.
LIMITS = {
    "parameters": {"max": {"relative_to": "original", "factor": 0.9}},
    "accuracy": {"min": {"relative_to": "original", "factor": 0.5}},
}


def shown(url: str, *more: str) -> Any:
    return json.loads(nas("show", "study", *more, "--storage", url, "--json").stdout)


def test_the_original_is_first_with_all_its_numbers(plan: Callable[..., Path], url: str, tmp_path: Path) -> None:
    nas("search", str(plan(**FAST, limits=LIMITS, budget={"trials": 2})), "--storage", url)
    first, other = shown(url)
    assert (first["trial"], first["network"], other["network"]) == (NUMBER, "original", "")
    assert first["accuracy"] is not None
    assert first["latency_ms"] is not None
    detail = shown(url, "0")
    assert detail["definition"]["untouched"]
    assert detail["row"]["metrics"]["density"]["value"] == 1.0
    assert first["state"] == "infeasible"
    assert first["reason"].startswith("parameters")
    assert other["state"] in ("complete", "infeasible")
    stored = Store(url).read(study_row, "study").limits
    assert stored["accuracy"]["min"] == pytest.approx(first["accuracy"] / 2)
    assert stored["parameters"]["max"] == pytest.approx(0.9 * first["parameters"])
    assert points(Store(url).engine, "study").original == NUMBER
    out = nas("report", "study", "--out", str(tmp_path / "report"), "--storage", url).stdout.split()[-1]
    page = Path(out).read_text()
    assert "<td>0, original</td>" in page
    assert '"name":"original"' in page


@pytest.mark.slow
def test_complete_weights_are_scored_as_they_are(plan: Callable[..., Path], url: str, tmp_path: Path) -> None:
    save_weights(three_layers(10, 1), tmp_path / "mine.safetensors")
    path = plan(**{**FAST, "space": {**MODULE, "weights": "mine.safetensors"}}, budget={"trials": 2})
    validated = json.loads(nas("validate", str(path), "--storage", url, "--json").stdout)
    assert validated["networks"][0]["network"] == "original"
    nas("search", str(path), "--storage", url)
    first = shown(url)[0]
    assert first["accuracy"] == validated["networks"][0]["accuracy"]
    assert not shown(url, "0")["curve"]["epochs"], "nothing was trained"
