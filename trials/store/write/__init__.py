"""Functions that change rows; they take a connection first, and ``Store.write`` runs them in one transaction."""
