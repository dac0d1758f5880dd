"""``streamlit run dashboard/start/open.py -- --storage sqlite:///nas.db``: for visitors without a password."""

from starlette.middleware import Middleware
from streamlit.starlette import App

from dashboard.gate import Doorstep

app = App("script.py", middleware=[Middleware(Doorstep)])
