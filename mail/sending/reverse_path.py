"""Signed reverse-paths: the address to which other servers send bounces of one mail.

`bounce+TOKEN@domain`, with TOKEN = base32(mail id, last day of validity, HMAC). A DSN that comes
to such an address answers a mail that was sent from here; a DSN to any other address is not about
our mail. Base32 in lower case, because servers on the way may change the case of a local part.
"""

import base64
import binascii
import hashlib
import hmac
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from mail.addresses import folded_local
from mail.clock import DAY_MS
from schemas.ids import MailId

BOUNCE_USER = "bounce"
VALID_DAYS = 14  # the 5 days of our queue, another server's 5 days, and its slow report
KEY_MIN_BYTES = 32
_MAC_BYTES = 16
_DAY_BYTES = 2  # days since 1970, until 2149
_ID_BYTES = 16
_TOKEN_BYTES = _ID_BYTES + _DAY_BYTES + _MAC_BYTES
_TOKEN_CHARS = -(-_TOKEN_BYTES * 8 // 5)  # 55; with "bounce+" 62 of the 64 of a local part
_PADDING = "=" * (-_TOKEN_CHARS % 8)
_PURPOSE = b"postriver reverse-path v1\0"


@dataclass(frozen=True, slots=True)
class ReversePaths:
    """Maker and checker of reverse-paths. The first key signs, every key is accepted: rotation."""

    keys: Sequence[bytes]

    def __post_init__(self) -> None:
        if not self.keys or any(len(key) < KEY_MIN_BYTES for key in self.keys):
            msg = f"reverse-paths need a key, and keys of {KEY_MIN_BYTES} octets or more"
            raise ValueError(msg)

    def make(self, mail_id: MailId, domain: str, *, now_ms: int) -> str:
        """Return the reverse-path of a mail, valid for VALID_DAYS; the same all day long.

        `domain` is in normal form. Raises ValueError: `mail_id` is no UUID.
        """
        last_day = now_ms // DAY_MS + VALID_DAYS
        signed = uuid.UUID(mail_id).bytes + last_day.to_bytes(_DAY_BYTES, "big")
        token = base64.b32encode(signed + _mac(self.keys[0], domain, signed))
        return f"{BOUNCE_USER}+{token.decode().rstrip('=').lower()}@{domain}"

    def mail_of(self, address: str, *, now_ms: int) -> MailId | None:
        """Return the mail whose bounces come to `address`; None: not ours, altered, or expired."""
        local, _, domain = address.rpartition("@")
        token = folded_local(local).removeprefix(f"{BOUNCE_USER}+")
        if len(token) != _TOKEN_CHARS or not token.isascii():
            return None
        try:
            octets = base64.b32decode(token.upper() + _PADDING)
        except binascii.Error:
            return None
        signed, mac = octets[:-_MAC_BYTES], octets[-_MAC_BYTES:]
        macs = (_mac(key, domain.lower(), signed) for key in self.keys)
        if not any(hmac.compare_digest(mac, expected) for expected in macs):
            return None
        if now_ms // DAY_MS > int.from_bytes(signed[_ID_BYTES:], "big"):
            return None
        return MailId(str(uuid.UUID(bytes=signed[:_ID_BYTES])))


def is_bounce_address(address: str) -> bool:
    """Whether the local part is that of a signed reverse-path, by its beginning alone."""
    return address[: len(BOUNCE_USER) + 1].lower() == f"{BOUNCE_USER}+"


def _mac(key: bytes, domain: str, signed: bytes) -> bytes:
    message = _PURPOSE + domain.encode() + b"\0" + signed
    return hmac.new(key, message, hashlib.sha256).digest()[:_MAC_BYTES]
