"""What Streamlit runs for each visit of a page; the other modules of this folder put a guard in front of it."""

from dashboard.app import main

main()
