"""The results in a browser."""
