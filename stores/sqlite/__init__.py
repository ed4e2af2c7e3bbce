"""SQLite adapters of the embedded profile, one database file per store.

database_file.py opens and migrates files. group_commit.py runs statements off the event loop with
one writer thread. single_file_store.py makes port methods of statement functions. Other processes
may read and write the same files.
May import: mail, schemas.
"""
