"""Deposits: what a signed-in user puts into the own mailbox, the same for every protocol.

Depositor for messages (drafts, IMAP APPEND, import), uploader for files, virus check, room within
the quotas. Nothing is accepted without a scan.
May import: edge, mail, schemas.
"""
