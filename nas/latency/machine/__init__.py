"""What a machine says of its cores, memory and neighbours, and the lock around measuring on it."""
