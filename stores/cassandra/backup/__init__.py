"""Copy all rows of the stores while they are in use, and write them into empty tables.

tables.py says which tables are copied, and in which order. A copy is a sequence of CopiedRows.
See docs/decisions/0135-backup-of-the-distributed-profile.md.
May import: mail, schemas, stores.
"""
