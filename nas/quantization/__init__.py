"""Precision: how many bits each site of a network computes with."""
