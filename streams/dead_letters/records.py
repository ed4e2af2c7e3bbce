"""Records of dead.letters, decoded: a dead letter, or a mark on a dead letter.

A dead letter's id is "partition-offset". A mark has a higher offset in the same partition and says
what an operator did with the dead letter: redrive or discard.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from mail.errors import Undecodable
from schemas.content import Content, Stored
from schemas.dead_letters import DeadLetter
from schemas.events.mailbox_commands import Deliver, FoldJournal, RebuildViews
from schemas.ids import MailId, UserId
from schemas.ledger import DISCARDED, PARKED, REDRIVEN, DeadLetterState
from streams.codec import decode_of
from streams.dead_letters import headers
from streams.topology import BY_NAME, TOPIC_OF

_VARIABLE_PART = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+")
KIND_MAX_CHARS = 120


class DeadLetterMark(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator did with a dead letter."""

    letter_id: str
    done: Literal["redriven", "discarded"]
    at_ms: int
    reason: str = ""


class ParkedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter, and what its marks say."""

    id: str
    letter: DeadLetter | None  # None: its headers do not name an origin
    redriven_at_ms: int | None = None  # of the last redrive
    discarded_at_ms: int | None = None
    reason: str = ""  # why it was discarded

    @property
    def waits(self) -> bool:
        """Whether it was neither redriven nor discarded."""
        return self.redriven_at_ms is None and self.discarded_at_ms is None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterFilter:
    """Selection of dead letters. `cause`: a substring, ignoring case. "" and 0 match all."""

    cause: str = ""
    stage: str = ""
    since_ms: int = 0

    def matches(self, letter: DeadLetter | None) -> bool:
        """Return whether `letter` is selected. None, a record without origin: only if all are."""
        if letter is None:
            return self == DeadLetterFilter()
        return (
            self.cause.casefold() in letter.cause.casefold()
            and self.stage in {"", letter.stage}
            and letter.at_ms >= self.since_ms
        )


class _Contents(msgspec.Struct):
    """The contents of a submission, with their mail ids."""

    mail_id: MailId
    content: Content
    sent_mail_id: MailId = MailId("")


class _Ids(msgspec.Struct):
    """The fields of any event that identify a mail."""

    mail_id: MailId = MailId("")
    submission_id: MailId = MailId("")  # the id of the submitted mail
    user_id: UserId = UserId("")
    content: Content | None = None
    mail: _Contents | None = None


class _EventIds(_Ids):
    parts: tuple[_Ids, ...] = ()  # of a batch


_decode_ids = msgspec.msgpack.Decoder(_EventIds).decode


def id_of(record: Any) -> str:
    """Return the id of a dead letter, by its record."""
    return f"{record.partition}-{record.offset}"


def mark_of(record: Any) -> DeadLetterMark | None:
    """Return the mark of a record, or None for a dead letter."""
    texts = headers.texts(record.headers)
    ids: dict[Literal["redriven", "discarded"], str | None] = {
        REDRIVEN: texts.get(headers.REDRIVEN_OF),
        DISCARDED: texts.get(headers.DISCARDED_OF),
    }
    done = next((done for done, letter_id in ids.items() if letter_id is not None), None)
    if done is None:
        return None
    at_ms = texts.get(headers.AT_MS, "")
    return DeadLetterMark(
        letter_id=ids[done] or "",
        done=done,
        at_ms=int(at_ms) if at_ms.isdecimal() else record.timestamp,
        reason=texts.get(headers.REASON, ""),
    )


def parked_of(record: Any, *, without_value: bool = False) -> ParkedRecord:
    """Return the dead letter of a record; `without_value` drops its value of up to 2 MiB."""
    value = b"" if without_value else record.value
    letter = headers.letter(headers.texts(record.headers), record.key, value)
    return ParkedRecord(id=id_of(record), letter=letter)


def marked(parked: ParkedRecord, mark: DeadLetterMark) -> ParkedRecord:
    """Return `parked` with `mark` applied. A redriven dead letter is no longer discarded."""
    if mark.done == REDRIVEN:
        return msgspec.structs.replace(
            parked, redriven_at_ms=mark.at_ms, discarded_at_ms=None, reason=""
        )
    return msgspec.structs.replace(parked, discarded_at_ms=mark.at_ms, reason=mark.reason)


def is_owners_command(letter: DeadLetter) -> bool:
    """Return whether the event may be a mailbox owner's command.

    Deliveries and maintenance commands are not. An undecodable command may be.
    """
    topic = TOPIC_OF[Deliver]
    if letter.topic != topic.name:
        return False
    try:
        command = decode_of(topic, letter.offset, letter.value)
    except Undecodable:
        return True
    return not isinstance(command, Deliver | RebuildViews | FoldJournal)


def ids_in(value: bytes | None) -> tuple[str, str, str]:
    """Return mail id, user id and content reference in an event's bytes; "" where absent.

    Of a batch: those of the first mail that it delivers.
    """
    return next(iter(all_ids_in(value)), ("", "", ""))


def all_ids_in(value: bytes | None) -> list[tuple[str, str, str]]:
    """As `ids_in`, for every mail that the event names; a batch may deliver several mails."""
    try:
        event = _decode_ids(value or b"")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return []
    named = [ids for ids in event.parts if ids.mail_id] or [event]
    return [(_mail_id(ids), ids.user_id, _ref(ids)) for ids in named]


def _mail_id(ids: _Ids) -> MailId:
    return ids.mail.mail_id if ids.mail else ids.mail_id or ids.submission_id


def _ref(ids: _Ids) -> str:
    content = ids.mail.content if ids.mail else ids.content
    return content.ref if isinstance(content, Stored) else ""


def sent_copy_in(value: bytes | None) -> str:
    """Return the mail id of the copy for Sent in a new submission's bytes; "" if it has none."""
    try:
        ids = _decode_ids(value or b"")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""
    return ids.mail.sent_mail_id if ids.mail else ""


def ledger_state(record: Any) -> DeadLetterState | None:
    """Return the record as the ledger stores it, or None for a dead letter of no mail.

    If the event cannot be decoded, the key is the mail id on topics of mails.
    """
    mark = mark_of(record)
    if mark is not None:
        return DeadLetterState(letter_id=mark.letter_id, state=mark.done, at_ms=mark.at_ms)
    texts = headers.texts(record.headers)
    mail_id, user_id, ref = ids_in(record.value)
    if not mail_id and is_keyed_by_mail(texts.get(headers.ORIGIN_TOPIC, "")):
        mail_id = (record.key or b"").decode("utf-8", "replace")
    if not mail_id:
        return None
    return DeadLetterState(
        letter_id=id_of(record),
        state=PARKED,
        at_ms=record.timestamp,
        mail_id=MailId(mail_id),
        user_id=UserId(user_id),
        ref=ref,
    )


def is_keyed_by_mail(topic: str) -> bool:
    """Return whether the key of a record of `topic` is the id of its mail."""
    return topic in BY_NAME and BY_NAME[topic].any_partition


def kind_of(cause: str) -> str:
    """Return `cause` without its ids and numbers, so that equal causes are counted together."""
    return _VARIABLE_PART.sub("…", " ".join(cause.split()))[:KIND_MAX_CHARS]
