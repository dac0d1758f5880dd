from __future__ import annotations

from dashboard.pages import page_modules
from trials.reporting.charts.measurements import LOOKS
from trials.reporting.terms import TERMS
from trials.store.read.studies import STATES
from trials.store.read.trials import TRUST


def test_every_state_purpose_and_trust_is_explained_and_every_page_exists() -> None:
    terms = [term for own in TERMS.values() for term in own]
    assert {*LOOKS, *TRUST, *STATES} - {"running", "queued"} <= {term.name for term in terms}
    assert {page for term in terms for page in term.pages} <= set(page_modules())
    # A trial and a study can both be complete, so a name is unique only under its heading.
    assert all(len({term.name for term in own}) == len(own) for own in TERMS.values())
