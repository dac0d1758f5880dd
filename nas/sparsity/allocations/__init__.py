"""Allocations: rules that distribute the density of a network over its layers."""
