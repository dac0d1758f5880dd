"""The parts of ``chaos.py``: where a study runs, what is done to it, and what must be true afterwards."""
