"""The caller's settings, and what the caller writes to and from: identities, addresses.

document.py: all settings; identities.py: the addresses to send from; addresses.py: completion of
the addresses to send to; updates.py: checks of new values, and their way to the single writer.
May import: api, edge, mail, schemas.
"""
