"""The caller's settings and what is chosen from: identities.

document.py: all settings; identities.py: the addresses to send from; updates.py: checks of new
values, and their way to the mailbox's single writer.
May import: api, edge, mail, schemas.
"""
