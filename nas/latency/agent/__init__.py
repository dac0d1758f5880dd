"""Measure on a device that runs nothing else of this project: an agent there, asked over HTTP.

The agent (``server``) imports the standard library only; what it starts to measure also needs numpy and a runtime.
Everything in its bundle runs on Python 3.9.
"""

#: Version of what agent and asker say to each other.
API = 2
#: Where an agent listens unless told.
PORT = 8765
