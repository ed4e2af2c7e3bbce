"""Content of one message: detail, view document, raw mail, attachments.

view.py: the document that displays it; message_parsing.py: parsing in fair turns.
May import: api, mail, schemas.
"""
