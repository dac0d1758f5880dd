"""Image files in folders: finding them, assigning splits and classes, reading and checking them."""
