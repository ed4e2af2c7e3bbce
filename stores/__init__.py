"""Adapters of the store ports, one folder per engine: sqlite, filesystem, memory.

Every adapter passes the port's contract suite in tests/contracts/.
May import: mail, schemas. Each engine's client library is imported in its folder alone.
"""
