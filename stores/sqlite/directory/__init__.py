"""Directory in directory.sqlite: domains, users, aliases, sessions, passwords.

store.py is the adapter; the other modules are statements that run inside a caller's transaction.
May import: stores.sqlite, mail, schemas.
"""
