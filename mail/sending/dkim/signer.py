"""DKIM signatures (RFC 6376, RFC 8463) of a mail that is read once, as a stream.

The form is relaxed/relaxed. Fields are signed once more than they occur, so that no such field can
be added to a signed mail (§8.15). There is no l=, so that nothing can be
added to the body.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from mail.errors import Refused
from mail.sending.dkim.keys import SigningKey
from mail.sending.dkim.relaxed_form import RelaxedBodyHash, relaxed_field

HEADER_MAX_BYTES = 1024 * 1024
SIGNATURES_MAX = 4  # of one mail; verifiers check few
_LINE_CHARS = 72
# Signed as often as they occur, and once more, so that no such field can be added.
_OVERSIGNED = (
    "From", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type",
    "Content-Transfer-Encoding",
)  # fmt: skip
# The same if they occur; lists and forwarders may add them to a mail that has none (§5.4.1).
_SIGNED = (
    "Sender", "In-Reply-To", "References", "Content-ID", "Content-Description", "Auto-Submitted",
    "Resent-Date", "Resent-From", "Resent-To", "Resent-Cc", "List-Id", "List-Help", "List-Post",
    "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe", "List-Owner", "List-Archive",
)  # fmt: skip
_EACH_MAX = 20  # occurrences of one field that is signed


class NotSignable(Refused):
    """The header has no From field, is too long, or has one of the signed fields too often."""


@dataclass(frozen=True, slots=True)
class MailDigest:
    """What a signature needs of a mail: the values of the signed fields, and the body's hash."""

    fields: dict[str, tuple[bytes, ...]]  # by name in lower case, in order of the header
    body_hash: bytes


class MailDigester:
    """Reads a mail chunk by chunk, with CRLF line ends; memory of the header and a chunk."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._in_header = True
        self._body = RelaxedBodyHash()

    def feed(self, chunk: bytes) -> None:
        """Take the next octets of the mail. Raises NotSignable."""
        if not self._in_header:
            self._body.feed(chunk)
            return
        searched = max(0, len(self._header) - 3)
        self._header += chunk
        if self._header.startswith(b"\r\n"):
            end, body = 0, 2
        else:
            found = self._header.find(b"\r\n\r\n", searched)
            end, body = (found + 2, found + 4) if found >= 0 else (-1, 0)
        if end >= 0:
            self._body.feed(bytes(self._header[body:]))
            del self._header[end:]
            self._in_header = False
        if len(self._header) > HEADER_MAX_BYTES:
            raise NotSignable(f"the header is longer than {HEADER_MAX_BYTES} octets")

    def finish(self) -> MailDigest:
        """The digest of the whole mail. Raises NotSignable: no From field (§5.4), or too many."""
        wanted = {name.lower() for name in (*_OVERSIGNED, *_SIGNED)}
        fields: dict[str, list[bytes]] = {}
        for name, value in header_fields(bytes(self._header)):
            if name in wanted:
                fields.setdefault(name, []).append(value)
        if "from" not in fields:
            raise NotSignable("a mail without a From field is not signed")
        for name, values in fields.items():
            if len(values) > _EACH_MAX:
                raise NotSignable(f"the header has {name} more than {_EACH_MAX} times")
        kept = {name: tuple(values) for name, values in fields.items()}
        return MailDigest(kept, self._body.digest())


def signature_fields(digest: MailDigest, keys: Sequence[SigningKey], *, signed_at_s: int) -> bytes:
    """The DKIM-Signature fields to put before the mail, one for each key, in order.

    The same arguments give the same octets. Raises ValueError: more than SIGNATURES_MAX keys.
    """
    if len(keys) > SIGNATURES_MAX:
        msg = f"{len(keys)} keys: a mail has at most {SIGNATURES_MAX} signatures"
        raise ValueError(msg)
    return b"".join(_signature_field(digest, key, signed_at_s) for key in keys)


def _signature_field(digest: MailDigest, key: SigningKey, signed_at_s: int) -> bytes:
    names, signed = _signed_fields(digest)
    value = (
        f" v=1; a={key.algorithm}; c=relaxed/relaxed; d={key.domain};\r\n"
        f"\ts={key.selector}; t={signed_at_s};\r\n"
        f"\tbh={_base64(digest.body_hash)};\r\n"
        f"\th={_folded(names, ':')};\r\n"
        f"\tb="
    )
    octets = b"".join(field + b"\r\n" for field in signed)
    octets += relaxed_field(b"DKIM-Signature", value.encode())
    signature = _base64(key.sign(octets))
    pieces = [signature[at : at + _LINE_CHARS] for at in range(0, len(signature), _LINE_CHARS)]
    joined = "\r\n\t".join(pieces)
    return f"DKIM-Signature:{value}{joined}\r\n".encode()


def _signed_fields(digest: MailDigest) -> tuple[list[str], list[bytes]]:
    """The names in h=, and the canonical fields; of equal names the last first (§5.4.2)."""
    names: list[str] = []
    signed: list[bytes] = []
    for name in (*_OVERSIGNED, *_SIGNED):
        values = digest.fields.get(name.lower(), ())
        once_more = bool(values) or name in _OVERSIGNED
        names += [name] * (len(values) + once_more)
        signed += [relaxed_field(name.encode(), value) for value in reversed(values)]
    return names, signed


def header_fields(header: bytes) -> list[tuple[str, bytes]]:
    """Names in lower case, and what follows the colon, folded as it is; no other lines."""
    fields: list[tuple[str, list[bytes]]] = []
    for line in header.split(b"\r\n"):
        if line[:1] in {b" ", b"\t"}:
            if fields:
                fields[-1][1].append(line)
            continue
        name, colon, value = line.partition(b":")
        fields.append((name.strip(b" \t").lower().decode("latin-1") if colon else "", [value]))
    return [(name, b"\r\n".join(lines)) for name, lines in fields if name]


def _folded(words: Sequence[str], separator: str) -> str:
    """The words in lines of about _LINE_CHARS, folded after a separator."""
    lines, line = [], ""
    for number, word in enumerate(words):
        piece = word + (separator if number < len(words) - 1 else "")
        if line and len(line) + len(piece) > _LINE_CHARS:
            lines.append(line)
            line = ""
        line += piece
    return "\r\n\t ".join([*lines, line])


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
