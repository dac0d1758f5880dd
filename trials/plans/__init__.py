"""Plans: what a user asks for, checked and built, without running anything."""
