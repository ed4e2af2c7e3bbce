"""Search of messages, for readers and for changes of all hits.

May import: api, mail, schemas.
"""
