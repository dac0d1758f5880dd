"""Reporting: present results in words, figures and tables."""
