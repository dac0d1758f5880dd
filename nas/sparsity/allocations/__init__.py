"""How one density is shared out to layers."""
