"""SMTP (RFC 5321): server/ receives mail, client/ sends it to other servers.

May import: edge, mail, schemas. Ports are passed in by cli.
"""
