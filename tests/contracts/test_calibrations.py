"""The contract of every registered calibration: the range lies within the observed values and does not depend on
batches.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from nas.errors import PlanError
from nas.quantization import CALIBRATIONS, Calibration
from nas.quantization.entropy import Entropy, least_divergent
from nas.quantization.min_max import MinMax
from nas.quantization.percentile import Percentile


def values(count: int = 4096, seed: int = 0) -> Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(seed))


def found(calibration: Calibration, *batches: Tensor) -> tuple[float, float]:
    for batch in batches:
        calibration.add(batch)
    return calibration.range()


@pytest.fixture(params=CALIBRATIONS.names())
def calibration(request: pytest.FixtureRequest) -> type[Calibration]:
    return CALIBRATIONS.get(request.param)


def check_within(calibration: type[Calibration]) -> None:
    for scale in (1e-3, 1.0, 1e4):
        batches = [scale * values(seed=seed).reshape(8, -1) for seed in range(3)]
        low, high = found(calibration(), *batches)
        everything = torch.cat(batches)
        assert float(everything.min()) <= low < 0.0 < high <= float(everything.max())
        # Nearly every value has its own integer.
        assert ((everything >= low) & (everything <= high)).float().mean() > 0.98


def test_ranges_are_within_what_was_seen(calibration: type[Calibration]) -> None:
    check_within(calibration)


def test_one_sided_and_constant_values(calibration: type[Calibration]) -> None:
    low, high = found(calibration(), values().abs())
    assert 0.0 <= low < high
    assert found(calibration(), torch.zeros(64)) == (0.0, 0.0)


def test_values_that_are_not_finite_are_reported(calibration: type[Calibration]) -> None:
    for bad in (float("nan"), float("inf")):
        batch = values()
        batch[7] = bad
        for batches in ([batch, values()], [values(), batch]):
            assert not np.isfinite(found(calibration(), *batches)).all()


def test_without_values_there_is_no_range(calibration: type[Calibration]) -> None:
    assert not np.isfinite(calibration().range()).all()


def test_a_range_beyond_what_was_seen_is_found() -> None:
    class Wide(MinMax):
        def range(self) -> tuple[float, float]:
            low, high = super().range()
            return 2 * low, 2 * high

    with pytest.raises(AssertionError):
        check_within(Wide)


def test_min_max_takes_the_extremes() -> None:
    low, high = float(values(seed=1).min()), float(values(seed=2).max())
    assert found(MinMax(), values(seed=1).clamp(max=high), values(seed=2).clamp(min=low)) == (low, high)


def test_a_percentile_cuts_outliers() -> None:
    inputs = torch.rand(4096, generator=torch.Generator().manual_seed(0))
    inputs[0] = 1000.0
    low, high = found(Percentile(95.0), inputs)
    assert (low, high) == (pytest.approx(0.05, abs=0.02), pytest.approx(0.95, abs=0.02))


def test_entropy_cuts_outliers_and_keeps_what_is_evenly_spread() -> None:
    outliers = torch.cat([values(20_000), torch.tensor([200.0])])
    assert found(Entropy(), outliers)[1] < 50.0
    even = torch.linspace(-1.0, 1.0, 20_000)
    assert found(Entropy(), even) == (pytest.approx(-1.0, abs=0.02), pytest.approx(1.0, abs=0.02))


@pytest.mark.parametrize("draw", [np.random.Generator.normal, np.random.Generator.laplace])
def test_entropy_range_is_close_to_onnxruntimes(draw) -> None:  # type: ignore[no-untyped-def]
    from onnxruntime.quantization.calibrate import HistogramCollector

    sample = draw(np.random.default_rng(0), size=1_000_000)
    limit = float(np.abs(sample).max())
    counts, edges = np.histogram(sample, 1024, range=(-limit, limit))
    theirs = HistogramCollector("entropy", False, 1024, 128, 99.9, None)
    _, high = theirs.get_entropy_threshold((counts, edges, sample.min(), sample.max()), 128)
    # ONNX Runtime gives each level a whole number of values, and gives none to bins that don't fill a level.
    assert least_divergent(counts) * 2 * limit / 1024 == pytest.approx(float(high), rel=0.15)


def test_a_growing_histogram_counts_like_one_of_the_final_size() -> None:
    grown, at_once = Entropy(256), Entropy(256)
    small, large = values(), values(seed=1) * 100
    assert found(grown, small, large.clamp(-256 * float(small.abs().max()), 256 * float(small.abs().max())))
    found(at_once, torch.tensor([grown._limit]), small, large)
    # Values exactly on the edge of two bins are the exception.
    assert np.abs(grown._counts - at_once._counts).sum() <= 8


@pytest.mark.parametrize(("make", "message"), [(lambda: Percentile(0.5), r"0\.5"), (lambda: Entropy(100), "100")])
def test_parameters_out_of_range_are_refused(make, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(PlanError, match=message):
        make()
