"""Parts of ``verify.py``, which are copied into exported folders; they need only numpy."""
