from __future__ import annotations

import logging

from tests.unit.trials.coordinator.under_way import UnderWay
from trials.coordinator.study_log import MAX_LINES, StudyLog, events
from trials.store.read.log import log_lines


def test_what_the_coordinator_does_and_warnings_are_kept(under_way: UnderWay) -> None:
    store, lease = under_way.context.store.store, under_way.context.assignment.lease
    with StudyLog(store, lease.study_id) as log:
        events.info("%s runs the study", "host:1:2")
        logging.getLogger("nas.latency").warning("the device is %s", "away")
        logging.getLogger("trials.store").info("not for the log")
        log.write()
        assert log_lines(store, under_way.context.assignment.name, 10) == [], "lines are written in bulk"
        log.write(now=True)
    logging.getLogger("nas").warning("after the study")
    log.write(now=True)
    lines = log_lines(store, under_way.context.assignment.name, 10)
    assert [(line.level, line.number, line.text) for line in lines] == [
        ("info", None, "host:1:2 runs the study"),
        ("warning", None, "the device is away"),
    ]


def test_a_flood_of_warnings_is_cut(under_way: UnderWay) -> None:
    store, lease = under_way.context.store.store, under_way.context.assignment.lease
    with StudyLog(store, lease.study_id) as log:
        for number in range(MAX_LINES + 7):
            events.warning("warning %d", number)
        events.info("x" * 9000)
        log.write(now=True)
    lines = log_lines(store, under_way.context.assignment.name, 2 * MAX_LINES)
    assert len(lines) == MAX_LINES + 1
    assert lines[-1].text == "8 more lines were left out"
