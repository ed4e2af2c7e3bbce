"""Webmail: static files, read once at start.

May import: api.
"""
