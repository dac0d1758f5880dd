"""Scripts that write files in environments of their own; they lie beside ``model.py`` and import nothing of ours."""
