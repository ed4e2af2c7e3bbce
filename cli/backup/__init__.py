"""Backup and restore of the embedded profile: database copies, contents, unconsumed records.

May import: everything.
"""
