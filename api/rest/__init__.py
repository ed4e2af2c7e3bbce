"""REST resources under /v1: request and response types, and handlers.

May import: api, mail, schemas.
"""
