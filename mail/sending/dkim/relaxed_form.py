"""Canonical forms `relaxed` of DKIM (RFC 6376 §3.4.2, §3.4.4), as a stream and in linear time.

Input has CRLF line ends only: other content is not sent (sendable_content.py).
"""

import hashlib
import re

_SPACES = re.compile(rb"[ \t]+")
_BLANK = b" \t\r\n"
_LINES = 4096  # empty lines hashed at once


class RelaxedBodyHash:
    """SHA-256 of a body in the form `relaxed`; memory of one chunk."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._line_ends = 0  # seen since the last other octet, and not hashed yet
        self._space = False  # white space after them
        self._held = b""  # a CR at the end of a chunk
        self._is_empty = True

    def feed(self, chunk: bytes) -> None:
        """Take the next octets of the body."""
        data = self._held + chunk
        self._held = b"\r" if data.endswith(b"\r") else b""
        data = data[: len(data) - len(self._held)]
        text = data.strip(_BLANK)
        if not text:
            self._pass_blank(data)
            return
        start = data.index(text[:1])
        self._pass_blank(data[:start])
        self._flush()
        self._hash.update(_SPACES.sub(b" ", text).replace(b" \r\n", b"\r\n"))
        self._is_empty = False
        self._pass_blank(data[start + len(text) :])

    def digest(self) -> bytes:
        """The hash of the whole body: empty lines at its end are left out, a CRLF is added."""
        rest = b"" if self._is_empty else b"\r\n"
        digest = self._hash.copy()
        digest.update(rest)
        return digest.digest()

    def _pass_blank(self, blank: bytes) -> None:
        """Count the line ends of octets that are white space alone."""
        line_ends = blank.count(b"\n")
        self._line_ends += line_ends
        after = blank.rpartition(b"\n")[2]
        self._space = bool(after) or (self._space and not line_ends)

    def _flush(self) -> None:
        """Hash the blank octets that came before other octets."""
        whole, rest = divmod(self._line_ends, _LINES)
        for _ in range(whole):
            self._hash.update(b"\r\n" * _LINES)
        self._hash.update(b"\r\n" * rest)
        if self._space:
            self._hash.update(b" ")
        self._line_ends, self._space = 0, False


def relaxed_field(name: bytes, value: bytes) -> bytes:
    """A header field in the form `relaxed`, without its CRLF. `value` is what follows the colon."""
    unfolded = value.replace(b"\r\n", b"")
    return name.strip(b" \t").lower() + b":" + _SPACES.sub(b" ", unfolded).strip(b" \t")
