"""Ids of mails, messages, commands and holders.

Ids are made before the work and travel with it, so that repeated work finds its earlier result.
"""

import hashlib
import re
import uuid

from uuid_utils import UUID, uuid5, uuid7

from schemas.ids import CommandId, MailId, MessageId, UploadId, UserId

_NAMESPACE = UUID("6f1d3a52-6a0e-5c7b-9d5b-0f5d7c8a4e11")


def new_id() -> str:
    """A new UUIDv7 (RFC 9562 §5.7), which contains its time in milliseconds."""
    return str(uuid7())


def time_ms(id_: str) -> int:
    """The Unix time of a UUIDv7 in milliseconds. Raises ValueError: not a UUIDv7."""
    value = uuid.UUID(id_)
    if value.version != 7:
        msg = f"{id_} is not a UUIDv7"
        raise ValueError(msg)
    return value.int >> 80


def derived_id(parent: str, *names: str) -> str:
    """A UUIDv5 of the parent id and names: the same arguments always give the same id."""
    return str(uuid5(_NAMESPACE, "\x00".join((parent, *names))))


def new_command_id() -> CommandId:
    """A new UUIDv7 for a command."""
    return CommandId(new_id())


def derived_command_id(parent: str, *names: str) -> CommandId:
    """The UUIDv5 of a command that follows from `parent`: a repeat makes the same command."""
    return CommandId(derived_id(parent, *names))


def note_id(command_id: CommandId) -> CommandId:
    """The id of the mailbox command that answers a command to a submission."""
    return derived_command_id(command_id, "note")


def message_id(mail_id: MailId, user_id: UserId, *, kind: str = "received") -> MessageId:
    """The id of a mail's message in the user's mailbox; `kind` is received or sent."""
    return MessageId(derived_id(mail_id, user_id, kind))


def dated_id(at_ms: int, *names: str) -> str:
    """A UUIDv7 of the time `at_ms` whose random part is derived from `names`."""
    random_bits = int.from_bytes(hashlib.sha256("\x00".join(names).encode()).digest()[:10], "big")
    high, low = random_bits >> 68, random_bits & (1 << 62) - 1
    return str(uuid.UUID(int=at_ms << 80 | 7 << 76 | high << 64 | 2 << 62 | low))


def first_id_at(at_ms: int) -> str:
    """The lowest UUIDv7 of the time `at_ms`, to begin a list of ids there."""
    return str(uuid.UUID(int=at_ms << 80 | 7 << 76 | 2 << 62))


def holder_of(mail_id: MailId, user_id: UserId, message: MessageId) -> str:
    """The holder name of a message: `user:ID` for received mail, else `message:ID`.

    A mail to oneself makes two messages with two names, and is held until both are destroyed.
    """
    received = message_id(mail_id, user_id)
    return f"user:{user_id}" if message == received else f"message:{message}"


def upload_holder(user_id: UserId, upload_id: UploadId) -> str:
    """The holder name of an upload."""
    return f"upload:{user_id}:{upload_id}"


CONTENT_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")


def check_content_id(mail_id: MailId) -> str:
    """`mail_id`, checked. Raises ValueError: not 1 to 64 characters of 0-9A-Za-z_-."""
    if not is_content_id(mail_id):
        msg = f"{mail_id!r} is no mail id"
        raise ValueError(msg)
    return mail_id


def is_content_id(ref: str) -> bool:
    """Whether `ref` has the syntax of a mail id."""
    return CONTENT_ID.fullmatch(ref) is not None
