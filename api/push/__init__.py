"""WebSocket push: changes since a state from the journal, then live events.

May import: api, mail, schemas.
"""
