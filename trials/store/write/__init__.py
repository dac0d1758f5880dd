"""Everything that changes rows; ``trials.store.store`` calls it within a transaction."""
