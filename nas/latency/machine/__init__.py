"""State of the machine: cores, memory, other processes, and the lock that makes measurements exclusive."""
