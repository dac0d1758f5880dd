"""Analysis: numbers computed from the results of studies."""
