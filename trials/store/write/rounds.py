"""Write a round: several changes of one coordinator in one transaction, under its lease."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection

from trials.store.records import Lease
from trials.store.write.leases import check_lease, keep_totals

#: The connection on which a transaction runs.
Transaction = Connection
#: Runs functions of ``trials.store.write`` in a transaction; what it learns there, such as new ids, it keeps itself. If
#: the transaction has to be repeated, so is the change.
Change = Callable[[Transaction, Lease], None]


def write_round(
    connection: Transaction, lease: Lease, changes: Sequence[Change], totals: Mapping[str, float] | None
) -> None:
    """Make the changes in their order, and store the totals of the study if they have changed.

    Raises:
        StudyError: another coordinator has taken the lease.
    """
    if totals is None:
        check_lease(connection, lease)
    else:
        keep_totals(connection, lease, totals)
    for change in changes:
        change(connection, lease)
