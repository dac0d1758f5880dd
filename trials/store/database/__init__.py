"""The database as such: its URL, how it is opened, and transactions that outlast an outage."""
