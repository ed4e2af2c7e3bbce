"""The copies of a composed mail: for its sender, and for its recipients."""

import re
from collections.abc import Iterator

DRAFT_FIELD = "X-Postriver-Draft"
_NO_RECIPIENTS = b"To: undisclosed-recipients:;\r\n"  # an empty group (RFC 5322 §3.4)
_FIELD = re.compile(rb"([!-9;-~]+):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*+")


def for_recipients(octets: bytes) -> bytes:
    """Return a composed mail as recipients get it: without Bcc and fields of drafts.

    A mail without To and Cc gets an empty group in To, since filters suspect mail without it.
    """
    sent = without_fields(octets, "Bcc", DRAFT_FIELD)
    names = {name for name, _ in _fields(sent)}
    return sent if names & {b"to", b"cc"} else _NO_RECIPIENTS + sent


def without_fields(octets: bytes, *names: str) -> bytes:
    """Return a composed mail without the header fields `names`. Body and order do not change."""
    removed = {name.lower().encode() for name in names}
    fields = list(_fields(octets))
    body_start = sum(len(field) for _, field in fields)
    return b"".join(
        (*(field for name, field in fields if name not in removed), octets[body_start:])
    )


def _fields(octets: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Iterate over the header fields of a composed mail: name in lower case, and all octets."""
    position = 0
    while field := _FIELD.match(octets, position):
        yield field[1].lower(), field[0]
        position = field.end()
