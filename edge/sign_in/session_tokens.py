"""Session tokens: random strings of which only the SHA-256 is stored."""

import hashlib
import re
import secrets

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def new_token() -> str:
    """256 random bits as 43 characters of base64url."""
    return secrets.token_urlsafe(32)


def is_token(text: str) -> bool:
    """Whether `text` has the form of a token; anything else needs no lookup."""
    return _TOKEN.fullmatch(text) is not None


def token_sha256(token: str) -> str:
    """The key under which a session is stored, in hex."""
    return hashlib.sha256(token.encode()).hexdigest()
