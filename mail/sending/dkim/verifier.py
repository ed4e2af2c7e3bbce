"""Check of DKIM signatures in the form that this server writes: relaxed/relaxed, without l=.

For operators and the demo, not for mail that arrives: expiry, alignment and other forms are not
checked. The caller looks up the DNS records.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from mail.sending.dkim.keys import SEED_BYTES
from mail.sending.dkim.relaxed_form import RelaxedBodyHash, relaxed_field
from mail.sending.dkim.signer import HEADER_MAX_BYTES, header_fields

SIGNATURES_READ_MAX = 10  # of one mail
NAMES_MAX = 1_000  # in h=
_FIELD = "dkim-signature"
_SPACE = re.compile(r"\s+")
_VALUE_OF_B = re.compile(rb"(^|;)(\s*b\s*=)[^;]*")
_ALGORITHMS = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A DKIM-Signature field, and what it signs of its mail."""

    tags: dict[str, str]  # without white space
    signed: bytes  # the octets that are signed
    fault: str  # what is wrong without the key; "": nothing

    @property
    def record_name(self) -> str:
        """The name of the DNS record with the public key (RFC 6376 §3.6.2.1)."""
        return f"{self.tags.get('s', '')}._domainkey.{self.tags.get('d', '')}"

    def fault_with(self, record: str | None) -> str:
        """What is wrong, with the text of the DNS record; "": the signature is valid."""
        if self.fault:
            return self.fault
        tags = _tags(record or "")
        if record is None or _ALGORITHMS[self.tags["a"]] != tags.get("k", "rsa"):
            return "no key of this algorithm in DNS"
        try:
            _verify(_octets(tags.get("p", "")), _octets(self.tags["b"]), self.signed)
        except (ValueError, UnsupportedAlgorithm):
            return "the key or the signature cannot be read"
        except InvalidSignature:
            return "the signature does not fit the header"
        return ""


def signatures(content: bytes) -> Sequence[Signature]:
    """The signatures of a mail, at most SIGNATURES_READ_MAX; none beyond HEADER_MAX_BYTES."""
    header, _, body = content.partition(b"\r\n\r\n")
    if len(header) > HEADER_MAX_BYTES:
        return []
    fields = header_fields(header)
    body_hash = RelaxedBodyHash()
    body_hash.feed(body)
    digest = body_hash.digest()
    values = [value for name, value in fields if name == _FIELD]
    return [_signature(value, fields, digest) for value in values[:SIGNATURES_READ_MAX]]


def _signature(value: bytes, fields: Sequence[tuple[str, bytes]], digest: bytes) -> Signature:
    tags = _tags(value.decode("latin-1"))
    names = tags.get("h", "").lower().split(":")
    form = (tags.get("v"), tags.get("c"), tags.get("a") in _ALGORITHMS, "l" in tags)
    fault = ""
    if form != ("1", "relaxed/relaxed", True, False) or "from" not in names or "b" not in tags:
        fault = "a form that is not checked"
    elif len(names) > NAMES_MAX:
        fault = "too many fields in h="
    elif base64.b64encode(digest).decode() != tags.get("bh"):
        fault = "the body was changed"
    octets = b"" if fault else b"".join(each + b"\r\n" for each in _named(names, fields))
    octets += relaxed_field(_FIELD.encode(), _VALUE_OF_B.sub(rb"\1\2", value, count=1))
    return Signature(tags=tags, signed=octets, fault=fault)


def _named(names: Sequence[str], fields: Sequence[tuple[str, bytes]]) -> Iterator[bytes]:
    """The fields of h= in canonical form; of equal names the last first (§5.4.2)."""
    left: dict[str, list[bytes]] = {}
    for name, value in fields:
        left.setdefault(name, []).append(value)
    for name in names:
        if values := left.get(name):
            yield relaxed_field(name.encode("latin-1"), values.pop())


def _tags(text: str) -> dict[str, str]:
    """The tags of a list (§3.2) without white space; of equal names the first."""
    tags: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = _SPACE.sub("", part).partition("=")
        if equals:
            tags.setdefault(name, value)
    return tags


def _octets(text: str) -> bytes:
    """Raises ValueError: no base64, or empty: the key was revoked."""
    octets = base64.b64decode(text, validate=True)
    if not octets:
        raise binascii.Error("empty")
    return octets


def _verify(key: bytes, signature: bytes, signed: bytes) -> None:
    """Verify with an Ed25519 or RSA key, as their sizes differ.

    Raises InvalidSignature, ValueError, UnsupportedAlgorithm.
    """
    if len(key) == SEED_BYTES:
        digest = hashes.Hash(hashes.SHA256())
        digest.update(signed)
        ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, digest.finalize())
        return
    public = serialization.load_der_public_key(key)
    if not isinstance(public, rsa.RSAPublicKey):
        raise UnsupportedAlgorithm("not a key of RSA")
    public.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
