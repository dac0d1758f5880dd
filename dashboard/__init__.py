"""The dashboard: pages over the database. Figures are those of ``trials.reporting.charts``, shared with the report."""

#: Tells this package from others of the same name, see measured_nas/packages.py.
__distribution__ = "measured-nas"
