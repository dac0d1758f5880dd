"""Verification: an exported folder is compared with what its study recorded, and checked on any machine."""
