"""Coordinator: run one study from the first proposal to the last result."""
