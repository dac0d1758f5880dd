"""Coordinator: one study under way, from the first proposal to the last result."""
