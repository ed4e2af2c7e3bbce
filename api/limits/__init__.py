"""Shares of one client: request rates, download slots, search time, parsing work.

May import: api, edge, mail, schemas.
"""
