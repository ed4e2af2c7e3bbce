"""SQLite tables of the embedded profile, one module per database file.

Each schema is a tuple of migrations; stores/sqlite/database_file.py applies missing migrations.
May import: schemas.
"""
