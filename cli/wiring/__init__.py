"""Adapters for each port, by profile.

profile.py opens them; embedded.py and cassandra_stores.py name them.

May import: everything.
"""
