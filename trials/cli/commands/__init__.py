"""The verbs of ``nas``, one file a group."""
