"""Problems and scores of ``benchmarks/search.py``."""
