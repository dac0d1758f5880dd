"""Parts of ``benchmarks/dashboard_pages.py``."""
