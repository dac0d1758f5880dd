"""Studies: many candidates, many machines."""
