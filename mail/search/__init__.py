"""Execution of a search over a SearchIndex and a MailStore.

May import: mail.query, mail.ports, the base modules of mail, schemas.
"""
