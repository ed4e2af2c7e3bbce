"""Ledger rules: the state of each accepted mail for each recipient.

May import: mail.ports, mail.mime, the base modules of mail, schemas.
"""
