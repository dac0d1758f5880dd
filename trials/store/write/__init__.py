"""Everything that changes rows: functions that take a connection first, run by ``Store.write`` in one transaction."""
