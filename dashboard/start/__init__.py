"""The script that streamlit runs, in a folder of its own.

Beside a folder called ``pages`` streamlit would take that for pages of its own kind, and a link to
one of them that is visited first would show nothing.
"""
