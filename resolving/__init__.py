"""Adapters of the MxResolver port: DNS by dnspython, and a table in memory for tests.

May import: mail, schemas. dnspython is imported in this package only.
"""
