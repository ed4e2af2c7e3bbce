"""Adapters of the scanner ports: clamd, SpamAssassin's spamd, and memory.

May import: mail, schemas. Each engine's client library is imported here alone.
"""
