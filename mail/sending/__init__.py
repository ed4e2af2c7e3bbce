"""Sending mail to other servers: rules without network.

When an attempt is repeated (retry_schedule), which octets may be sent (sendable_content), the
reverse-path to which bounces come back (reverse_path).
May import: mail.ports, mail.mime, the base modules of mail, schemas.
"""
