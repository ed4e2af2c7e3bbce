"""Adapters of the scanner ports: clamd, spamd of SpamAssassin, and in-memory scanners for tests.

May import: mail, schemas. Client libraries of the engines are imported in this package only.
"""
