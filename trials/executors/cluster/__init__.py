"""Ray clusters: the connection, places and workers that both Ray executors use."""
