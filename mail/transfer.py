"""Content-Transfer-Encoding (RFC 2045 §6), decoded leniently: what can be had, never a failure."""

import binascii
import re

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


def decode_transfer(body: bytes, encoding: str) -> bytes:
    """The octets of `body`. An unknown encoding is taken as it stands."""
    if encoding == "base64":
        return lenient_base64(body)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(body)
    return body


def lenient_base64(data: bytes) -> bytes:
    """What can be had of broken base64: foreign octets skipped, a cut end dropped."""
    letters = _NOT_BASE64.sub(b"", data)
    letters = letters[: len(letters) - 1] if len(letters) % 4 == 1 else letters
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
