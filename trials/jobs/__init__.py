"""Jobs: what workers do, and the values they exchange with a coordinator."""
