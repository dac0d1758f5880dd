"""Openers of formats; each file is copied into exported folders, so it imports numpy and its runtime only."""
