"""Studies on clusters: hand them over, continue them elsewhere, pause and stop them from any machine."""
