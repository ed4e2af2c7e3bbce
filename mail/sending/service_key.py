"""The secret key of the service: keys for single purposes, and sealed secrets.

Every key is derived from one secret in a file, so that the directory and its backups have no
secret in clear (HKDF, RFC 5869; AES-256-GCM).
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mail.errors import Refused

SECRET_MIN_BYTES = 32
_NONCE_BYTES = 12
_KEY_BYTES = 32
_SEALING = "sealed secrets v1"


class CannotOpen(Refused):
    """A sealed secret was sealed by another key, or changed."""

    def __init__(self) -> None:
        super().__init__("sealed by another secret key: see POSTRIVER_SECRET_KEY_FILE")


class ServiceKey:
    """Keys that are derived from one secret."""

    def __init__(self, secret: bytes) -> None:
        """Raises ValueError: `secret` has fewer than SECRET_MIN_BYTES octets."""
        if len(secret) < SECRET_MIN_BYTES:
            msg = f"a secret key has at least {SECRET_MIN_BYTES} octets"
            raise ValueError(msg)
        self._secret = secret

    def derived(self, purpose: str) -> bytes:
        """The key of 32 octets for `purpose`."""
        kdf = HKDF(
            hashes.SHA256(), length=_KEY_BYTES, salt=None, info=f"postriver {purpose}".encode()
        )
        return kdf.derive(self._secret)

    def seal(self, secret: bytes, context: str) -> bytes:
        """Encrypt `secret`; `open` needs the same `context`. Each call gives other octets."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self.derived(_SEALING)).encrypt(nonce, secret, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return the secret. Raises CannotOpen."""
        nonce, octets = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return AESGCM(self.derived(_SEALING)).decrypt(nonce, octets, context.encode())
        except (InvalidTag, ValueError) as error:
            raise CannotOpen from error
