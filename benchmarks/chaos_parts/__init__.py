"""Parts of ``chaos.py``: the place where a study runs, the faults, and the checks afterwards."""
