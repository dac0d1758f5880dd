"""Sparsity patterns, one kind per file."""
