"""The database: typed tables, migrations, and every query anyone makes."""
