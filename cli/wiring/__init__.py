"""Adapters for each port, by profile. profile.py opens them, embedded.py names them.

May import: everything.
"""
