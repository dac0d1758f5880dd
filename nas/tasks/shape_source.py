"""Provides the splits of the shapes tasks: drawn once, and then read from a cache."""

from __future__ import annotations

import logging
import os
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nas.errors import TaskError
from nas.registry import nearest
from nas.tasks import Split
from nas.tasks.images import fingerprint_of
from nas.tasks.parameters import share, whole
from nas.tasks.shape_images import SHAPES, VERSION, Factors, draw

CACHE = "~/.cache/measured-nas"
_SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_log = logging.getLogger(__name__)


class Drawn(NamedTuple):
    """Drawn images ``(M, H, W, 3)`` uint8, with classes ``(M,)`` int64 and masks ``(M, H, W)`` bool."""

    images: np.ndarray
    classes: np.ndarray
    masks: np.ndarray


@dataclass(frozen=True)
class ShapeSource:
    """Splits of drawn shapes, which depend only on these values."""

    size: int
    counts: Mapping[Split, int]
    factors: Factors
    seed: int
    #: Folder that keeps drawn images; None keeps nothing.
    cache: Path | None

    @classmethod
    def checked(
        cls,
        name: str,
        image_size: Any,
        counts: Mapping[Split, Any],
        difficulty: Any,
        factors: Mapping[str, Any] | None,
        seed: Any,
        cache: str | None,
    ) -> ShapeSource:
        """Make a source from the parameters of the task called ``name``.

        Raises:
            TaskError: a parameter is out of range.
        """
        folder = CACHE if cache is None else cache
        return cls(
            size=whole(f"{name}: image_size", image_size, 16, 256),
            counts={
                split: whole(f"{name}: num_{split}", count, len(SHAPES), 1_000_000) for split, count in counts.items()
            },
            factors=_factors(name, share(f"{name}: difficulty", difficulty), factors or {}),
            seed=whole(f"{name}: seed", seed, 0, 2**32 - 1),
            cache=Path(folder).expanduser() if folder else None,
        )

    def split(self, split: Split) -> Drawn:
        """Read or draw one split, without drawing the others."""
        path = None if self.cache is None else self.cache / f"shapes-{self._key(split)[:16]}.npz"
        found = _read(path)
        if found is None:
            found = Drawn(*draw(self.counts[split], self.size, self.factors, self._seed(split)))
            _write(path, found)
        return found

    def fingerprint(self, settings: list[Any]) -> str:
        """Hash of these values and of the task's ``settings``."""
        return fingerprint_of([settings, [self._key(split) for split in _SPLITS]])

    def _seed(self, split: Split) -> int:
        return self.seed * len(_SPLITS) + _SPLITS.index(split)

    def _key(self, split: Split) -> str:
        values = [VERSION, self.size, self.counts[split], asdict(self.factors), self._seed(split)]
        return fingerprint_of(values)


def _factors(name: str, difficulty: float, overrides: Mapping[str, Any]) -> Factors:
    known = [field.name for field in fields(Factors)]
    if not isinstance(overrides, Mapping):
        raise TaskError(f"{name}: factors {overrides!r}; allowed: a mapping of {', '.join(known)}")
    values: dict[str, Any] = {}
    for key, value in overrides.items():
        if key not in known:
            hint = nearest(str(key), known, f"allowed: {', '.join(known)}")
            raise TaskError(f"{name}: unknown factor {key!r}{hint}")
        label = f"{name}: factors: {key}"
        values[key] = whole(label, value, 0, 100) if key == "clutter" else share(label, value, 0, _most(key))
    return replace(Factors.of(difficulty), **values)


def _most(factor: str) -> float:
    """Largest value of a factor; shapes must keep some size."""
    return 0.9 if factor == "scale" else 1.0


def _read(path: Path | None) -> Drawn | None:
    if path is None or not path.exists():
        return None
    try:
        # Opened here, because numpy leaves a file open that it can't read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return Drawn(arrays["images"], arrays["classes"], arrays["masks"])
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        _log.warning("%s can't be read (%s); the images are drawn again", path, error)
        return None


def _write(path: Path | None, drawn: Drawn) -> None:
    """Write a cache file atomically; if that fails, log a warning and do without it."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".partial", delete=False) as file:
            np.savez(file, images=drawn.images, classes=drawn.classes, masks=drawn.masks)
        os.replace(file.name, path)
    except OSError as error:
        _log.warning("%s can't be written (%s); shapes will be drawn again next time", path, error)
