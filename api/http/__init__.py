"""HTTP concerns of every route: authentication, client address, CORS, compression, pacing.

May import: api, edge, mail, schemas.
"""
