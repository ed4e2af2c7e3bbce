"""SMTP (RFC 5321): server/ receives mail.

May import: edge, mail, schemas. Ports are passed in by cli.
"""
