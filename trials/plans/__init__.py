"""Plans: read, check and build what a user asks for, without running anything."""
