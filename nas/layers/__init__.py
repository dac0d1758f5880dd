"""Layers: trainable modules of our own that torch and timm do not have."""
