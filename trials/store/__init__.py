"""The database: typed tables, migrations and all queries."""
