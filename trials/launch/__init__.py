"""Launch: everything between a plan and a running coordinator, and what happens to a study afterwards."""
