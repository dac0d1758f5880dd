"""Shapes a mask may have, one idea a file."""
