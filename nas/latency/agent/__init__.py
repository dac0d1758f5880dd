"""An agent that measures on another device and takes requests over HTTP.

The agent (``server``) imports only the standard library; the measuring process that it starts also needs numpy and a
runtime. Everything in its bundle runs on Python 3.9.
"""

#: Version of the protocol between an agent and its clients.
API = 2
#: Default port of an agent.
PORT = 8765
