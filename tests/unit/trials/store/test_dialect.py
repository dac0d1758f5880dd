from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import literal, select

from trials.store.database.engine import open_engine
from trials.store.dialect import SecondsBetween
from trials.store.models import Utc

BEGIN = datetime(2026, 3, 29, 0, 59, 59, 250_000, tzinfo=UTC)


@pytest.mark.parametrize("duration", [timedelta(0), timedelta(milliseconds=1500), timedelta(days=40, seconds=3)])
def test_databases_compute_seconds_between_times(store_url: str, duration: timedelta) -> None:
    end = (BEGIN + duration).astimezone(timezone(timedelta(hours=5)))
    engine = open_engine(store_url)
    with engine.connect() as connection:
        found = connection.scalar(select(SecondsBetween(literal(BEGIN, Utc()), literal(end, Utc()))))
    engine.dispose()
    assert found == pytest.approx(duration.total_seconds(), abs=1e-3)
