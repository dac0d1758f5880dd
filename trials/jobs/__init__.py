"""Jobs: the functions that workers run, and the messages they exchange with a coordinator."""
