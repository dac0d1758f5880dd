"""When failed trials end a study, and what the message tells to do."""

from __future__ import annotations

import pytest

from nas.errors import AllFailedError
from trials.coordinator.faults import Faults
from trials.plans.plan import FaultsPlan


def test_the_message_names_a_trial_that_failed() -> None:
    faults = Faults(FaultsPlan(first_failures=0, failures_in_a_row=2), "digits")
    faults.ended(0, None)
    faults.ended(1, "ValueError: no")
    with pytest.raises(AllFailedError, match=r"2 trials in a row .*ValueError: no.*nas show digits 2 shows"):
        faults.ended(2, "ValueError: no")
