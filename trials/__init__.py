"""Studies: search, train, measure and store many candidates, on one or more machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna

#: Distinguishes this package from others of the same name; see measured_nas/packages.py.
__distribution__ = "measured-nas"


def optuna_study(url: str, name: str) -> optuna.Study:
    """Return a stored study as an ordinary in-memory Optuna study, for Optuna's own plots and importances."""
    from trials.analysis.optuna_view import optuna_study as view

    return view(url, name)
