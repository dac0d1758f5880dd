"""Measures the latency of exported files on targets. Imports neither torch nor ray."""
