"""Interview: the questions of ``nas init``, how answers are read, and the plan that is written from them."""
