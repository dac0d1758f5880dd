"""Parts of ``benchmarks/dashboard_pages.py`` and ``benchmarks/dashboard_tasks.py``."""
