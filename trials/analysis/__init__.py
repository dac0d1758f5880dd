"""Analysis: what the results of studies say, as numbers."""
