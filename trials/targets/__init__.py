"""Targets: where latency is measured, by name, and what can be measured there."""
