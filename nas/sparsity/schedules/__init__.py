"""When weights are removed, one schedule a file."""
