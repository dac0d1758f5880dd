"""How fast is a file on a target? Measured, never estimated. Imports neither torch nor ray."""
