"""Interview: the questions of ``nas init``, functions that read the answers, and the plan written from them."""
