"""Graph: a network as it is traced: its nodes, its identity, and how its weights are read."""
