"""``streamlit run dashboard/start/gated.py -- --storage sqlite:///nas.db``: for visitors with a password."""

from starlette.middleware import Middleware
from streamlit.starlette import App

from dashboard.gate import Gate

app = App("script.py", middleware=[Middleware(Gate)])
