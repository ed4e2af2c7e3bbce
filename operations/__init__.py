"""Operators' use cases as functions over ports, for the command line and an admin API.

May import: agents, streams, stores, mail, schemas; never cli or api.
"""
