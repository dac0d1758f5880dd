"""Reporting: results for people, in words, figures and tables."""
