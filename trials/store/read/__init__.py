"""Functions that read rows.

Coordinators use the functions that take a connection first: ``Store.read`` runs them and waits for a database that is
away. Commands, reports and pages use the functions that take a ``Source`` first, see ``trials.store.read.session``.
"""
