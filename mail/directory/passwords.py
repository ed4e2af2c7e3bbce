"""Password hashes: argon2id (RFC 9106), at a cost that does not reveal whether a user exists.

A password typed on two machines may differ in its Unicode normal form. It is hashed and compared in
NFC (RFC 8265 §4.2.2).

Hashing takes tens of milliseconds of CPU by design: callers run these functions off the event loop.
"""

import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

PASSWORD_MAX_BYTES = 1024
ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # without characters that look alike
_RANDOM_LENGTH = 20  # 100 bits
_HASHER = PasswordHasher()  # RFC 9106 §4, the low-memory choice
# No password matches this hash, and checking it takes as long as checking a real hash.
_DUMMY_HASH = (
    f"$argon2id$v=19$m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}"
    f"${'A' * 22}${'A' * 43}"
)


def hash_password(password: str) -> str:
    """The hash to store, with its parameters and salt.

    Raises ValueError: the password is empty or longer than PASSWORD_MAX_BYTES.
    """
    octets = normal_password(password).encode()
    if not 0 < len(octets) <= PASSWORD_MAX_BYTES:
        msg = f"a password has 1 to {PASSWORD_MAX_BYTES} octets"
        raise ValueError(msg)
    return _HASHER.hash(octets)


def verify_password(password_hash: str, password: str) -> bool:
    """Whether `password` matches `password_hash`. An empty hash (no such user) takes as long.

    Earlier versions hashed the password as it was typed; that form is tried second.
    """
    forms = dict.fromkeys((normal_password(password), password))
    return any(_verify(password_hash, form) for form in forms)


def normal_password(password: str) -> str:
    """The form in which passwords are compared (NFC)."""
    return unicodedata.normalize("NFC", password)


def _verify(password_hash: str, password: str) -> bool:
    octets = password.encode("utf-8", "surrogatepass")
    possible = bool(password_hash) and 0 < len(octets) <= PASSWORD_MAX_BYTES
    try:
        return (
            _HASHER.verify(password_hash or _DUMMY_HASH, octets[:PASSWORD_MAX_BYTES]) and possible
        )
    except (VerificationError, InvalidHashError):
        return False


def random_password() -> str:
    """A random password of 100 bits, in groups of five characters."""
    chars = "".join(secrets.choice(ALPHABET) for _ in range(_RANDOM_LENGTH))
    return "-".join(chars[start : start + 5] for start in range(0, _RANDOM_LENGTH, 5))
