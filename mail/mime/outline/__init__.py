"""Outlines of mails: envelope and part tree with offsets (RFC 9051 §7.5.2, RFC 8621 §4.1.4).

builder.py makes an outline from the octets of a mail; sections.py finds the octets of a section.
May import: the modules of mail.mime, schemas.
"""
