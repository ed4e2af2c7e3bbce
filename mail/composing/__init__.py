"""Composing of outgoing mail: octets of a message from its fields, texts and attachments.

outgoing_mail.py: the fields and their checks; header_fields.py and body_parts.py: how they are
written (RFC 5322, RFC 2045 to 2047, RFC 2231); composer.py: the whole mail. No input can end a
header field or a part: tests/mail/composing/test_injection.py.
May import: mail.mime, mail.html, the base modules of mail, schemas.
"""
