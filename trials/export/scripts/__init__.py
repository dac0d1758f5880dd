"""Scripts that run an exported network; their text is copied beside it."""
