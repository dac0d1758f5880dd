"""Everything that reads rows.

A function whose first argument is a connection is run by ``Store.read``, which waits for a database that is away; the
engine uses these. A function whose first argument is a ``Source`` reads for people and pages, see
``trials.store.read.session``.
"""
