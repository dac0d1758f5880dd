"""The dashboard: pages over the database. Figures are those of ``trials.reporting.charts``, shared with the report."""
