"""The dashboard: pages over the database. Figures are those of ``trials.charts``, shared with the report."""
