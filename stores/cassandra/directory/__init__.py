"""Directory on Cassandra: domains, users, aliases, sessions, passwords, settings.

store.py is the adapter, made of the parts in the other modules. An address is unique by a
lightweight transaction on one table for users and aliases; mail reads one row for an address.
May import: stores.cassandra, mail, schemas.
"""
