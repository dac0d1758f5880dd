"""The script that Streamlit runs, in a folder of its own.

If a folder called ``pages`` lay beside the script, Streamlit would treat its modules as Streamlit pages, and the
first visit through a link to one of them would show nothing.
"""
