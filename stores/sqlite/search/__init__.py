"""SearchIndex in SQLite FTS5, one database file per bucket of users.

May import: stores.sqlite, mail, schemas.
"""
