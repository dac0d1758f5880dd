"""Openers of formats; each imports only numpy and its runtime, so that a copy of it runs without this project."""
