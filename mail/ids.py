"""Ids, made before the work and carried with it, so that repeated work finds itself done."""

import hashlib
import re
import uuid

from uuid_utils import UUID, uuid5, uuid7

_NAMESPACE = UUID("6f1d3a52-6a0e-5c7b-9d5b-0f5d7c8a4e11")


def new_id() -> str:
    """A UUIDv7 (RFC 9562 §5.7): unique, and telling its millisecond."""
    return str(uuid7())


def time_ms(id_: str) -> int:
    """The Unix millisecond in a UUIDv7. ValueError when it is no UUIDv7."""
    value = uuid.UUID(id_)
    if value.version != 7:
        msg = f"{id_} is not a UUIDv7"
        raise ValueError(msg)
    return value.int >> 80


def derived_id(parent: str, *names: str) -> str:
    """UUIDv5 of a parent and what was derived: the same inputs give the same id, always."""
    return str(uuid5(_NAMESPACE, "\x00".join((parent, *names))))


def message_id(mail_id: str, user_id: str, *, kind: str = "received") -> str:
    """The message that a mail becomes in a mailbox; `kind` is received or sent."""
    return derived_id(mail_id, user_id, kind)


def dated_id(at_ms: int, *names: str) -> str:
    """A UUIDv7 of the millisecond `at_ms` whose random part follows from `names`."""
    drawn = int.from_bytes(hashlib.sha256("\x00".join(names).encode()).digest()[:10], "big")
    high, low = drawn >> 68, drawn & (1 << 62) - 1
    return str(uuid.UUID(int=at_ms << 80 | 7 << 76 | high << 64 | 2 << 62 | low))


def holder_of(mail_id: str, user_id: str, message: str) -> str:
    """`user:ID` for a mail that the user received; any other message has a name of its own.

    So a mail to oneself, which is two messages, is held until both are destroyed.
    """
    received = message_id(mail_id, user_id)
    return f"user:{user_id}" if message == received else f"message:{message}"


CONTENT_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")


def check_content_id(mail_id: str) -> str:
    """`mail_id`, fit to be a name. ValueError: not 1 to 64 of the characters 0-9A-Za-z_-."""
    if not is_content_id(mail_id):
        msg = f"{mail_id!r} is no mail id"
        raise ValueError(msg)
    return mail_id


def is_content_id(ref: str) -> bool:
    return CONTENT_ID.fullmatch(ref) is not None
