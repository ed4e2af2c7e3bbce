"""CQL tables of the distributed profile, one module per store.

Each schema is a tuple of migrations; stores/cassandra/migrations.py applies missing migrations.
May import: schemas.
"""
