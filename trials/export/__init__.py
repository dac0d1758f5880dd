"""Export: write a network into a folder, with everything that is needed to run it."""
