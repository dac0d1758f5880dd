from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nas.latency.machine.processor import CoreShares
from nas.latency.machine.quota import throttled_s
from nas.latency.protocol import canary
from nas.latency.protocol.canary import CanarySetup, Health, check
from nas.latency.runtimes import Session
from tests.unit.nas.latency.protocol.test_measure import Simulated

REFERENCES = {"r0": 0.01, "r4": 0.2, "r8": 2.0}


@contextmanager
def no_wait() -> Iterator[float]:
    yield 0.0


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "WINDOW_S", 0.005)


def health(slow: list[float], idle: list[float], monkeypatch: pytest.MonkeyPatch, limit: float = 0.1) -> Health:
    """The canary of a machine that is slower by a given factor in each window, and idle at times when it should be
    busy.
    """
    factors, shares = iter(slow), iter(idle)
    opened: list[str] = []

    class Watch:
        def __init__(self, cores: object) -> None:
            pass

        def shares(self) -> CoreShares:
            return CoreShares(others=0.3, idle=next(shares))

    def open_reference(rung: str) -> Session:
        opened.append(rung)
        return Simulated(REFERENCES[rung] * next(factors))

    monkeypatch.setattr(canary, "CoreWatch", Watch)
    found = check(CanarySetup(open_reference, REFERENCES, no_wait, "process", (0,)), limit, windows=len(slow))
    assert set(opened) == {"r4"}, "the canary uses the rung nearest to 0.25 ms"
    assert Simulated.opened == 0
    return found


def test_a_target_as_calibrated_is_good_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = health([1.0], [0.0], monkeypatch)
    assert found.problem(0.1) is None
    assert found.drift == pytest.approx(0.0, abs=1e-4)
    assert any("others keep core 0 busy 30%" in warning for warning in found.warnings)
    assert Health.from_json(found.to_json()) == found


def test_one_quiet_moment_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    assert health([1.5, 1.4, 1.01], [0.0] * 3, monkeypatch).problem(0.1) is None


def test_a_target_that_is_always_slower_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    assert health([1.3] * 3, [0.0] * 3, monkeypatch).problem(0.1) == "it is 30% slower than when it was calibrated"


def test_a_faster_target_is_good_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    found = health([0.8], [0.0], monkeypatch)
    assert found.problem(0.1) is None
    assert any("20% faster" in warning and "too high by about 25%" in warning for warning in found.warnings)
    assert not any("faster" in warning for warning in health([0.95], [0.0], monkeypatch).warnings)


def test_a_core_that_stands_idle_while_it_is_wanted_is_throttled(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = health([1.0] * 3, [0.6, 0.5, 0.7], monkeypatch).problem(0.1)
    assert problem is not None
    assert "throttled: kept from its core 50%" in problem


@pytest.mark.parametrize(
    ("line", "folder", "stat"),
    [("0::/a", "a", "usage_usec 9\nthrottled_usec 2000000\n"), ("1:cpu:/a", "cpu/a", "throttled_time 2000000000\n")],
)
def test_both_kinds_of_control_groups_tell_of_quotas(line: str, folder: str, stat: str, tmp_path: Path) -> None:
    (tmp_path / "own").write_text(f"8:pids:/a\n{line}\n")
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "cpu.stat").write_text(stat)
    assert throttled_s(tmp_path / "own", tmp_path) == pytest.approx(2.0)
    assert throttled_s(tmp_path / "none", tmp_path) == 0.0
