"""MIME and header parsing of untrusted octets (RFC 5322, RFC 2045 to 2047, RFC 2231).

Every parser accepts any octets, never raises for malformed input, and does work linear in the
input's length (tests/rules/test_work_limits.py).
May import: mail.html, the base modules of mail, schemas.
"""
