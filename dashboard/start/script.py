"""``streamlit run dashboard/start/script.py -- --storage sqlite:///nas.db``."""

from dashboard.app import main

main()
