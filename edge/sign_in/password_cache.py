"""Password cache: successful checks of account passwords, for minutes, in the memory of a process.

argon2 takes 64 MiB and a core, and a mail program signs in with every connection. The cache keeps
one entry per user: HMAC-SHA256 under a random key of this process, over the stored hash and the
password. The key and the entries exist in memory only; no entry contains a password. An entry is
valid for one stored hash, which callers read from the directory at each sign-in, so a new password
takes effect at once in every process. Wrong passwords are never cached.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from edge.expiring_dict import ExpiringDict
from mail.directory.passwords import normal_password
from schemas.directory import User
from schemas.ids import UserId


@dataclass(frozen=True, slots=True)
class _Entry:
    version: bytes  # of the stored hash, see `_version`
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedPassword:
    """The password of `user` that argon2 has accepted, as a message authentication code."""

    user: User
    _key: bytes = field(repr=False)
    _mac: bytes = field(repr=False)

    def matches(self, password: str) -> bool:
        """Compare in constant time. False is certain: the stored hash does not match either."""
        return hmac.compare_digest(self._mac, _mac(self._key, self.user, password))


class PasswordCache:
    """At most `entries_max` users; an entry lasts `keep_s` from the check by argon2. 0: no cache.

    An application password is not cached: its hash is fast.
    """

    def __init__(
        self,
        *,
        keep_s: float = 300.0,
        entries_max: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = secrets.token_bytes(32)
        self._entries: ExpiringDict[UserId, _Entry] = ExpiringDict(
            keep_s=keep_s, entries_max=entries_max, clock=clock
        )

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, user: User, password: str) -> None:
        """Note that `password` matches the hash of `user`."""
        mac = _mac(self._key, user, password)
        self._entries.set(user.user_id, _Entry(_version(user), mac))

    def of(self, user: User) -> CachedPassword | None:
        """The cached password of `user`; None: none for the hash that `user` has now."""
        entry = self._entries.get(user.user_id)
        if entry is None or entry.version != _version(user):
            return None
        return CachedPassword(user=user, _key=self._key, _mac=entry.mac)


def _mac(key: bytes, user: User, password: str) -> bytes:
    """The code of `password` for the stored hash of `user`. Normal forms have one code (NFC)."""
    octets = normal_password(password).encode("utf-8", "surrogatepass")
    message = b"\0".join((user.user_id.encode(), _version(user), octets))
    return hmac.digest(key, message, "sha256")


def _version(user: User) -> bytes:
    """What changes with the password: SHA-256 of the stored hash, which has a random salt."""
    return hashlib.sha256(user.password_hash.encode()).digest()
