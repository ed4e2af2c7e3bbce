"""DKIM keys (RFC 6376 §3.3, RFC 8463): made, loaded, and as a DNS record."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from mail.addresses import normal_domain
from mail.errors import Refused

RSA_BITS = 2048  # of new keys (RFC 8301 §3.2)
RSA_MIN_BITS = 1024  # of loaded keys; verifiers ignore shorter keys
RSA_MAX_BITS = 4096  # verifiers may ignore longer keys
SEED_BYTES = 32
_STRING_MAX_CHARS = 255  # of one string of a TXT record (RFC 1035 §3.3)
_SELECTOR = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")

Algorithm = Literal["rsa-sha256", "ed25519-sha256"]
_PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class BadKey(Refused):
    """Not a private key that can sign."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with the name under which its public key is published."""

    domain: str  # A-labels
    selector: str
    _private: _PrivateKey

    @property
    def algorithm(self) -> Algorithm:
        """The value of a= (RFC 6376 §3.5)."""
        return "rsa-sha256" if isinstance(self._private, rsa.RSAPrivateKey) else "ed25519-sha256"

    @property
    def record_name(self) -> str:
        """The name of the DNS record (RFC 6376 §3.6.2.1), without the root's dot."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record_text(self) -> str:
        """The text of the TXT record (RFC 6376 §3.6.1, RFC 8463 §4)."""
        public = self._private.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            octets = public.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            return f"v=DKIM1; k=rsa; p={_base64(octets)}"
        octets = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return f"v=DKIM1; k=ed25519; p={_base64(octets)}"

    @property
    def record_strings(self) -> tuple[str, ...]:
        """The text in the strings of a TXT record, in the form of a zone file: in quotes."""
        text = self.record_text
        starts = range(0, len(text), _STRING_MAX_CHARS)
        return tuple(f'"{text[start : start + _STRING_MAX_CHARS]}"' for start in starts)

    @property
    def pem(self) -> bytes:
        """The private key in PKCS #8, without a passphrase. It is a secret."""
        return self._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def sign(self, octets: bytes) -> bytes:
        """The signature of what DKIM hashes; Ed25519 signs the SHA-256 of it (RFC 8463 §3)."""
        if isinstance(self._private, rsa.RSAPrivateKey):
            return self._private.sign(octets, padding.PKCS1v15(), hashes.SHA256())
        digest = hashes.Hash(hashes.SHA256())
        digest.update(octets)
        return self._private.sign(digest.finalize())


def generate(domain: str, selector: str, algorithm: Algorithm) -> SigningKey:
    """A new key. RSA takes some 0.1 s. Raises BadKey: not a selector; BadAddress: not a domain."""
    if algorithm == "ed25519-sha256":
        return _named(domain, selector, ed25519.Ed25519PrivateKey.generate())
    return _named(
        domain, selector, rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    )


def load(domain: str, selector: str, secret: bytes) -> SigningKey:
    """The key in PEM (PKCS #8, or PKCS #1 of RSA), or an Ed25519 seed of 32 octets in base64.

    Raises BadKey: not a key of these kinds, of RSA_MIN_BITS to RSA_MAX_BITS, or not a selector;
    BadAddress: not a domain.
    """
    if b"-----BEGIN" not in secret:
        return _named(domain, selector, _from_seed(secret))
    try:
        private = serialization.load_pem_private_key(secret, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey("the private key is not PEM, or has a passphrase") from error
    if isinstance(private, rsa.RSAPrivateKey):
        if not RSA_MIN_BITS <= private.key_size <= RSA_MAX_BITS:
            raise BadKey(f"an RSA key has {RSA_MIN_BITS} to {RSA_MAX_BITS} bits")
        return _named(domain, selector, private)
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return _named(domain, selector, private)
    raise BadKey("a key of DKIM is RSA or Ed25519")


def _from_seed(secret: bytes) -> ed25519.Ed25519PrivateKey:
    try:
        seed = base64.b64decode(secret.strip(), validate=True)
    except binascii.Error as error:
        raise BadKey("the private key is neither PEM nor a seed in base64") from error
    if len(seed) != SEED_BYTES:
        raise BadKey(f"a seed of Ed25519 has {SEED_BYTES} octets")
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed)


def _named(domain: str, selector: str, private: _PrivateKey) -> SigningKey:
    if not all(_SELECTOR.fullmatch(label) for label in selector.split(".")):
        raise BadKey("a selector is one or more labels of a domain name")
    return SigningKey(normal_domain(domain), selector, private)


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
