"""The measuring process: its own code, and the interface by which other processes use it."""
