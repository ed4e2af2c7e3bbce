"""Topics and access lists on the broker: creation, checks, epochs, retention.

May import: streams, mail, schemas.
"""
