"""Export: a network taken away, with everything that somebody needs to run it."""
