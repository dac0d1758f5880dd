"""Parts of ``engine.py``: other libraries on the same jobs that do nothing."""
