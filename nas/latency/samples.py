"""Raw samples of a measurement, and the numbers derived from them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.errors import MeasureError

#: Relative standard deviation between fresh sessions of one model (memory layout, code placement): too few sessions
#: can't show it themselves, so no interval is narrower than it implies.
SESSION_SPREAD = 0.01
RESAMPLES = 500


@dataclass(frozen=True)
class Visit:
    """One burst of the candidate and one of the reference, right after each other.

    Arrays of equal length per burst: wall and process time in nanoseconds, involuntary context switches.
    """

    candidate: np.ndarray
    reference: np.ndarray

    def ratio(self, row: int) -> float:
        """Fastest run of the candidate over the fastest of the reference, those not pre-empted."""
        return _fastest(self.candidate, row) / _fastest(self.reference, row)


@dataclass(frozen=True)
class Derived:
    """What samples say: the ratio to the reference and its 95 % interval."""

    ratio: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Relative half width of the interval."""
        return (self.high - self.low) / 2 / self.ratio


@dataclass(frozen=True)
class Samples:
    """Sessions of visits. ``statistic`` is ``process`` or ``wall``: which time the ratio is taken of."""

    sessions: tuple[tuple[Visit, ...], ...]
    statistic: str

    def derive(self, seed: int = 0) -> Derived:
        """Median over visits of the ratio of fastest runs, averaged over sessions.

        The interval resamples sessions first, visits second.
        """
        row = _ROWS[self.statistic]
        ratios = [np.array([visit.ratio(row) for visit in session]) for session in self.sessions]
        centre = float(np.mean([np.median(session) for session in ratios]))
        generator = np.random.default_rng(seed)
        means = np.empty(RESAMPLES)
        for index in range(RESAMPLES):
            drawn = generator.integers(len(ratios), size=len(ratios))
            means[index] = np.mean([np.median(generator.choice(ratios[item], len(ratios[item]))) for item in drawn])
        low, high = np.percentile(means, [2.5, 97.5])
        floor = 1.96 * SESSION_SPREAD / len(ratios) ** 0.5 * centre
        return Derived(centre, min(float(low), centre - floor), max(float(high), centre + floor))

    @property
    def num_runs(self) -> int:
        """Timed runs of the candidate."""
        return sum(visit.candidate.shape[1] for session in self.sessions for visit in session)

    @property
    def num_preempted(self) -> int:
        """Runs of the candidate that were pre-empted and do not count."""
        return sum(int((visit.candidate[2] > 0).sum()) for session in self.sessions for visit in session)

    def candidate_ms(self) -> np.ndarray:
        """Wall time of every run of the candidate, milliseconds."""
        return np.concatenate([visit.candidate[0] for session in self.sessions for visit in session]) / 1e6

    def to_bytes(self) -> bytes:
        """Compressed; ``from_bytes`` reads it."""
        arrays: dict[str, np.ndarray] = {"statistic": np.array(self.statistic)}
        for number, session in enumerate(self.sessions):
            for index, visit in enumerate(session):
                arrays[f"{number}.{index}.candidate"] = visit.candidate
                arrays[f"{number}.{index}.reference"] = visit.reference
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)  # type: ignore[arg-type]
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, blob: bytes) -> Samples:
        """Read what ``to_bytes`` wrote.

        Raises:
            MeasureError: the blob is something else.
        """
        try:
            with np.load(io.BytesIO(blob), allow_pickle=False) as arrays:
                keys = {
                    (int(number), int(index))
                    for number, index, _ in (name.split(".") for name in arrays.files if "." in name)
                }
                sessions: dict[int, list[Visit]] = {}
                for number, index in sorted(keys):
                    name = f"{number}.{index}"
                    visit = Visit(arrays[f"{name}.candidate"], arrays[f"{name}.reference"])
                    sessions.setdefault(number, []).append(visit)
                return cls(tuple(map(tuple, sessions.values())), str(arrays["statistic"]))
        except (ValueError, KeyError, OSError) as error:
            raise MeasureError(f"these bytes are no samples: {error}") from error


_ROWS = {"wall": 0, "process": 1}


def _fastest(burst: np.ndarray, row: int) -> float:
    kept = burst[row][burst[2] == 0]
    return float((kept if kept.size else burst[row]).min())


def burst_array(wall_ns: Sequence[int], process_ns: Sequence[int], preemptions: Sequence[int]) -> np.ndarray:
    """A burst as rows of wall time, process time, pre-emptions; what a runtime can't tell becomes wall time and zeros."""
    zeros = [0] * len(wall_ns)
    return np.array([wall_ns, process_ns or wall_ns, preemptions or zeros], dtype=np.int64)
