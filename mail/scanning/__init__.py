"""Virus scan of a mail or a file, the same for every way by which it comes in.

A mail is scanned in all forms in which clients can download a part of it. A content that breaks the
scanner is distinguished from an outage of the scanner.
May import: mail.ports, the base modules of mail, schemas.
"""
