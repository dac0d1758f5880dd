from pathlib import Path

import pytest

from nas.errors import MeasureError
from nas.kernels.build import library as built


@pytest.fixture(scope="session")
def library() -> Path:
    """The native kernels, from the user's cache if they were built before."""
    try:
        return built()
    except MeasureError as error:
        pytest.skip(str(error))
