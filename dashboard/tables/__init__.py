"""From the store to tables: what sections show, as pandas frames with readable columns."""
