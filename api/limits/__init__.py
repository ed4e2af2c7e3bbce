"""Limits of one user or peer: request rates, download slots, search time, work shares.

May import: api, edge, mail, schemas.
"""
