"""Application passwords: generation, the forms in which a user may type one, hash, and names.

An application password has 120 random bits, so a fast hash is enough: argon2 protects passwords
that people choose, which can be guessed. docs/decisions/0049-sign-in-of-mail-programs.md has more.
"""

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Sequence

from mail.clock import now_ms
from mail.directory.passwords import ALPHABET
from mail.errors import Refused
from mail.ids import new_id
from schemas.directory import AppPassword, AppPasswordScope
from schemas.ids import UserId

NAME_MAX_CHARS = 64
_LENGTH = 24  # 120 bits
_GROUP = 4
_TYPED_MAX_CHARS = 64  # with separators; a longer text is not an application password
_SEPARATORS = re.compile(r"[\s-]")
_FORM = re.compile(rf"[{ALPHABET}]{{{_LENGTH}}}")


def new_app_password(
    user_id: UserId, name: str, scopes: Sequence[AppPasswordScope]
) -> tuple[AppPassword, str]:
    """The row to store, and the random password, such as `abcd-efgh-jkmn-pqrs-tuvw-xyz2`.

    Raises Refused: the name is invalid, or there is no scope.
    """
    if not scopes:
        raise Refused("an application password has at least one scope")
    canonical = "".join(secrets.choice(ALPHABET) for _ in range(_LENGTH))
    row = AppPassword(
        app_password_id=new_id(),
        user_id=user_id,
        name=checked_name(name),
        scopes=tuple(sorted(set(scopes))),
        secret_sha256=secret_sha256(user_id, canonical),
        created_at_ms=now_ms(),
    )
    groups = (canonical[start : start + _GROUP] for start in range(0, _LENGTH, _GROUP))
    return row, "-".join(groups)


def canonical_secret(typed: str) -> str | None:
    """The 24 characters of an application password; None: `typed` does not have its form.

    Spaces and dashes are dropped, and upper case counts as lower case, since programs and phones
    change them. The answer depends on `typed` alone.
    """
    if len(typed) > _TYPED_MAX_CHARS:
        return None
    canonical = _SEPARATORS.sub("", typed).lower()
    return canonical if _FORM.fullmatch(canonical) else None


def secret_sha256(user_id: UserId, canonical: str) -> str:
    """The hash under which an application password of the user is stored, in hex."""
    return hashlib.sha256(f"app-password\0{user_id}\0{canonical}".encode()).hexdigest()


def checked_name(name: str) -> str:
    """`name` in NFC, without surrounding spaces.

    Raises Refused: it is empty, longer than NAME_MAX_CHARS, or has characters that do not print,
    such as line ends and bidirectional controls.
    """
    normal = unicodedata.normalize("NFC", name).strip()
    if not 0 < len(normal) <= NAME_MAX_CHARS or not normal.isprintable():
        raise Refused(f"a name has 1 to {NAME_MAX_CHARS} printable characters")
    return normal
