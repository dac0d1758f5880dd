"""The measuring process: what runs in it, and how others ask it."""
