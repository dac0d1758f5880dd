"""Trainings outside a search: final trainings, and repetitions of a trial."""
