"""Changes of all messages of a list or a search.

selection.py: which messages; resource.py: the commands, and how far they are.
May import: api, mail, schemas.
"""
