"""The registered runtimes that tests can run on this machine; one of them is built here and needs a compiler."""

from collections.abc import Iterable
from typing import Any

import pytest

from nas.errors import MeasureError
from nas.kernels.build import library_hash

_BUILT = "openvino_kernels"


def or_skipped(names: Iterable[str]) -> list[Any]:
    """The names as parameters of a test; each is marked to skip if its runtime is not available."""
    if missing := _missing():
        skip = pytest.mark.skip(reason=missing)
        return [pytest.param(name, marks=skip) if name == _BUILT else name for name in names]
    return list(names)


def runtimes_here(names: Iterable[str]) -> list[str]:
    """The registered runtimes that are available."""
    return [name for name in names if name != _BUILT or not _missing()]


def _missing() -> str:
    try:
        library_hash()
    except MeasureError as error:
        return str(error)
    return ""
