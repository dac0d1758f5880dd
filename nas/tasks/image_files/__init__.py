"""Image files in folders: found, laid out in splits and classes, read and checked."""
