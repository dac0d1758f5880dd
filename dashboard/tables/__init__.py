"""Tables that sections show: stored rows as pandas data frames with readable column names."""
