"""Passwords: argon2id (RFC 9106), and a cost that does not tell whether a user exists.

One password typed on two machines may differ in its Unicode normal form. It is hashed and compared
in NFC (RFC 8265 §4.2.2).

Hashing takes tens of milliseconds of CPU by design: callers run these off the event loop.
"""

import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

PASSWORD_MAX_BYTES = 1024
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # nothing that is read as something else
_RANDOM_LENGTH = 20  # 100 bits
_HASHER = PasswordHasher()  # RFC 9106 §4, the low-memory choice
# No password is known for it, and checking it takes as long as checking a real one.
_NOBODYS_HASH = (
    f"$argon2id$v=19$m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}"
    f"${'A' * 22}${'A' * 43}"
)


def hash_password(password: str) -> str:
    """The hash to store, with its parameters and salt. ValueError: empty or too long."""
    octets = _normal(password).encode()
    if not 0 < len(octets) <= PASSWORD_MAX_BYTES:
        msg = f"a password has 1 to {PASSWORD_MAX_BYTES} octets"
        raise ValueError(msg)
    return _HASHER.hash(octets)


def verify_password(password_hash: str, password: str) -> bool:
    """Whether `password` made `password_hash`; an empty hash (no such user) costs as much.

    Hashes were once made of the password as it was typed: that form is tried second.
    """
    forms = dict.fromkeys((_normal(password), password))
    return any(_verify(password_hash, form) for form in forms)


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)


def _verify(password_hash: str, password: str) -> bool:
    octets = password.encode("utf-8", "surrogatepass")
    possible = bool(password_hash) and 0 < len(octets) <= PASSWORD_MAX_BYTES
    try:
        return (
            _HASHER.verify(password_hash or _NOBODYS_HASH, octets[:PASSWORD_MAX_BYTES]) and possible
        )
    except (VerificationError, InvalidHashError):
        return False


def random_password() -> str:
    """A password for a person to copy: 100 random bits, in groups of five."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LENGTH))
    return "-".join(letters[start : start + 5] for start in range(0, _RANDOM_LENGTH, 5))
