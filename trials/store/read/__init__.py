"""Everything that reads rows for people and pages."""
