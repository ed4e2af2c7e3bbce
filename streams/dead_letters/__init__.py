"""Dead letter queue: parking, records, and the operator's list, redrive and discard.

May import: streams, mail, schemas.
"""
