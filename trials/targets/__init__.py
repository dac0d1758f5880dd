"""Targets: store, calibrate, check and profile on the places where latency is measured."""
