"""The dashboard: pages that show a database. It shares the figures of ``trials.reporting.charts`` with the report."""

#: Distinguishes this package from others of the same name; see measured_nas/packages.py.
__distribution__ = "measured-nas"
