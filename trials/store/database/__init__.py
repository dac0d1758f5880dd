"""Access to the database: its URL, how it is opened, and transactions that survive an outage."""
