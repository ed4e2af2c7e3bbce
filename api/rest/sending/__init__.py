"""What a user sends: submissions, and the state of each of their recipients.

May import: api, edge, mail, schemas.
"""
