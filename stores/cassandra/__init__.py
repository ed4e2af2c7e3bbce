"""Cassandra adapters of the distributed profile.

session.py runs prepared statements off the event loop, without a thread per call. migrations.py
creates and migrates the tables of schemas/cql/. Reads and writes are LOCAL_QUORUM.
May import: mail, schemas.
"""
