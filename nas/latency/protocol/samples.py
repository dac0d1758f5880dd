"""Raw samples of a measurement, from which all results can be derived again."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

from nas.errors import MeasureError

#: Rows of a burst's array.
WALL, PROCESS, PREEMPTIONS = range(3)
Clock = Literal["process", "wall"]


@dataclass(frozen=True, eq=False)
class Visit:
    """One burst of the candidate and one of the reference, directly one after the other.

    Each is an int64 array ``(3, runs)``: wall time and processor time in nanoseconds, involuntary context switches.
    """

    candidate: np.ndarray
    reference: np.ndarray


@dataclass(frozen=True, eq=False)
class Samples:
    """The visits of all sessions of a measurement, oldest first.

    Attributes:
        sessions: the visits of each session.
        clock: the time that counts if all runs were pre-empted, processor time or wall time.
    """

    sessions: tuple[tuple[Visit, ...], ...]
    clock: Clock

    @property
    def num_visits(self) -> int:
        """Number of visits."""
        return sum(map(len, self.sessions))

    @property
    def num_runs(self) -> int:
        """Number of the candidate's timed runs, discarded ones included."""
        return sum(visit.candidate.shape[1] for visit in self._visits())

    @property
    def num_discarded(self) -> int:
        """Number of the candidate's runs that were pre-empted and do not count."""
        return sum(int((visit.candidate[PREEMPTIONS] > 0).sum()) for visit in self._visits())

    def candidate_runs(self) -> np.ndarray:
        """All runs of the candidate, ``(3, runs)`` with the rows of a visit."""
        return np.asarray(np.concatenate([visit.candidate for visit in self._visits()], axis=1))

    def candidate_ms(self) -> np.ndarray:
        """Wall time of every run of the candidate, milliseconds."""
        return np.asarray(self.candidate_runs()[WALL] / 1e6)

    def reference_ms(self) -> np.ndarray:
        """Wall time of every run of the reference, milliseconds."""
        return np.concatenate([visit.reference[WALL] for visit in self._visits()]) / 1e6

    def fastest(self, clock: Clock | None = None) -> list[np.ndarray]:
        """Fastest run of each visit, nanoseconds: per session an array ``(visits, 2)`` of candidate and reference.

        Only runs that were not pre-empted count, by wall time; visits without such runs are left out. Wall time is the
        finer clock, and exact without pre-emption (processor time is sometimes off by a fifth of a run of 30
        microseconds). If no visit remains, all runs count, by ``clock``.
        """
        kept = [_fastest_runs(session, WALL, discard=True) for session in self.sessions]
        kept = [session for session in kept if len(session)]
        row = PROCESS if (clock or self.clock) == "process" else WALL
        return kept or [_fastest_runs(session, row, discard=False) for session in self.sessions]

    def to_bytes(self) -> bytes:
        """Write compressed numpy arrays, without anything executable; ``from_bytes`` reads them."""
        index, runs = [], []
        for number, session in enumerate(self.sessions):
            for visit in session:
                index.append((number, visit.candidate.shape[1], visit.reference.shape[1]))
                runs += [visit.candidate, visit.reference]
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            clock=np.array(self.clock),
            index=np.array(index, np.int32).reshape(-1, 3),
            runs=np.concatenate(runs, axis=1) if runs else np.empty((3, 0), np.int64),
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, blob: bytes) -> Samples:
        """Read what ``to_bytes`` wrote.

        Raises:
            MeasureError: the bytes were not written by ``to_bytes``.
        """
        try:
            with np.load(io.BytesIO(blob), allow_pickle=False) as arrays:
                clock, index, runs = str(arrays["clock"]), arrays["index"], arrays["runs"]
            if clock not in ("process", "wall") or index[:, 1:].sum() != runs.shape[1]:
                raise ValueError(f"index of {index[:, 1:].sum()} runs, {runs.shape[1]} runs, clock {clock!r}")
        except (
            ValueError,
            KeyError,
            IndexError,
            TypeError,
            OSError,
            EOFError,
            zlib.error,
            zipfile.BadZipFile,
        ) as error:
            raise MeasureError(
                f"{len(blob)} bytes that are not samples ({error}); pass what Samples.to_bytes returned"
            ) from error
        parts = np.split(runs, np.cumsum(index[:, 1:].reshape(-1))[:-1], axis=1)
        visits = [
            (int(number), Visit(parts[2 * place], parts[2 * place + 1])) for place, number in enumerate(index[:, 0])
        ]
        sessions = (tuple(visit for _, visit in group) for _, group in groupby(visits, key=lambda item: item[0]))
        return cls(tuple(sessions), "wall" if clock == "wall" else "process")

    def _visits(self) -> list[Visit]:
        return [visit for session in self.sessions for visit in session]


def burst_array(wall_ns: Sequence[int], process_ns: Sequence[int], preemptions: Sequence[int]) -> np.ndarray:
    """A burst as an array ``(3, runs)`` of wall time, processor time and pre-emptions.

    Unknown processor times are replaced by wall times, and unknown pre-emptions by zeros.
    """
    return np.array([wall_ns, process_ns or wall_ns, preemptions or [0] * len(wall_ns)], dtype=np.int64)


def _fastest_runs(session: Sequence[Visit], row: int, *, discard: bool) -> np.ndarray:
    found = []
    for visit in session:
        pair = [
            burst[row][burst[PREEMPTIONS] == 0] if discard else burst[row]
            for burst in (visit.candidate, visit.reference)
        ]
        if all(times.size for times in pair):
            found.append([times.min() for times in pair])
    return np.array(found, dtype=np.float64).reshape(-1, 2)
