"""Traced networks: their nodes, their identity, and how their weights are read."""
