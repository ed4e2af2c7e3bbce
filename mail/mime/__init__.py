"""Parsers of untrusted mail: headers and MIME (RFC 5322, RFC 2045 to 2047, RFC 2231).

Every parser accepts any octets, never raises for malformed input, and takes time linear in the
length of the input (tests/rules/test_work_limits.py). message_parser.py is the entry point.
May import: mail.html, the base modules of mail, schemas.
"""
