"""Execution of a search over a SearchIndex and a MailStore.

unindexed.py finds and decides messages that the index lacks, documents.py makes documents.
May import: mail.query, mail.mime, mail.ports, the base modules of mail, schemas.
"""
