"""A study's progress without a terminal: each line says what has changed."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tests.unit.trials.assigned import assigned
from tests.unit.trials.coordinator.test_repeats import WIDTHS, again, confirming
from tests.unit.trials.pretending import Pretending
from trials.cli.changes import LINE_EVERY_S, NOW_EVERY_S, ChangeLog
from trials.cli.live import LiveDisplay
from trials.cli.watching import follow, readable
from trials.coordinator.coordinator import Coordinator
from trials.store.store import Store
from trials.store.write.targets import add_target


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'nas.db'}")
    store.write(add_target, "local", {}, {})
    yield store
    store.close()


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=240)


def printed(console: Console) -> list[str]:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


def test_the_log_of_a_study_names_its_phases_and_ends_with_all_facts(
    store: Store, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trials.cli.changes.LINE_EVERY_S", -1.0)
    display = LiveDisplay(console)
    display.prepare("study", "calibrating target local: 1 of 3")
    display.prepare("study", "calibrating target local: 1 of 3")
    given = assigned(store, confirming(2, 1))
    coordinator = Coordinator(store, given, Pretending(again=again), {}, display.update)
    coordinator.run()
    coordinator.show()
    lines = printed(console)
    assert len(set(lines)) == len(lines)
    assert lines[0] == "study study · preparing: calibrating target local: 1 of 3"
    assert lines[1].startswith("study study · phase searching · trials ")
    looks = [line.partition("second looks ")[2] for line in lines if "second looks" in line]
    assert [text.partition(" · ")[0] for text in looks][-1] == "3 of at most 3"
    assert lines[-1].startswith(f"study study · trials {len(WIDTHS)} of {len(WIDTHS)} ({len(WIDTHS)} complete) · best ")
    assert " · state complete" in lines[-1]
    assert not any(" · left " in line for line in lines if "second looks" in line)


def test_lines_are_kept_apart_and_say_only_what_has_changed(console: Console) -> None:
    now = 0.0
    log = ChangeLog(console, lambda: now)
    told = {"study": "s", "phase": "searching", "trials": "0 of 9", "left": "9 s"}
    log.tell(told, over=False)
    log.tell({**told, "trials": "1 of 9"}, over=False)  # too early
    now += LINE_EVERY_S + 1
    log.tell({**told, "left": "8 s"}, over=False)  # only a clock
    log.tell({**told, "now": "trial 3: epoch 2 of 9"}, over=False)  # too early for this alone
    log.tell({**told, "trials": "2 of 9", "left": "7 s"}, over=False)
    log.tell({**told, "trials": "2 of 9", "phase": "second looks 1 of 2"}, over=False)  # at once
    now += NOW_EVERY_S + 1
    log.tell({**told, "trials": "2 of 9", "phase": "second looks 1 of 2", "now": "trial 3"}, over=False)
    assert printed(console) == [
        "study s · phase searching · trials 0 of 9 · left 9 s",
        "study s · trials 2 of 9 · left 7 s",
        "study s · phase second looks 1 of 2",
        "study s · now trial 3",
    ]


def test_a_study_is_followed_until_it_has_ended(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trials.cli.watching.EVERY_S", 0.0)
    states = iter(["preparing", "running", "running", "complete"])
    follow(
        console, lambda: {"study": "s", "state": next(states), "trials": {"complete": 2}, "totals": {}, "error": None}
    )
    assert printed(console) == [
        "study s · state preparing · trials complete=2",
        "study s · state running",
        "study s · state complete · trials complete=2",
    ]


def test_facts_tell_limits_in_words_and_seconds_as_durations() -> None:
    facts = {
        "study": "s",
        "limits": {"latency_ms": {"min": None, "max": 0.01883}, "accuracy": {"min": 0.9, "max": None}},
        "totals": {"wall_s": 262.3, "tell_s": 3.493e-05, "trained": 21.0},
        "saved_s": {"no repeated network": 75.0},
        "error": None,
    }
    assert readable(facts) == {
        "study": "s",
        "limits": "latency_ms at most 0.01883; accuracy at least 0.9",
        "totals": "wall 4 min 22 s, trained 21",
        "saved_s": "no repeated network 1 min 15 s",
    }


def test_an_interrupted_study_says_how_it_goes_on(console: Console) -> None:
    def interrupted() -> None:
        with LiveDisplay(console) as display:
            display.prepare("s", "starting workers")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert printed(console)[-1] == "study s is interrupted; continue it with: nas resume s"
