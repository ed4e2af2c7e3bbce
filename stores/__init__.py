"""Adapters of the store ports, one folder per engine: cassandra, filesystem, memory, sqlite.

paged_reads.py, packed_documents.py, waiters.py: what two engines do in the same way.

Every adapter passes the port's contract suite in tests/contracts/.
May import: mail, schemas. Each engine's client library is imported in its folder alone.
"""
