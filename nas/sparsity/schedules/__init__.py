"""Schedules of pruning, one per file."""
