"""The records of dead.letters as what they mean: a letter, or a mark on one.

A letter's id is "partition-offset". A mark stands behind its letter in the same partition and says
what a person did with it: sent it back, or threw it away.
"""

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from mail.errors import Undecodable
from schemas.content import Content, Stored
from schemas.dead_letters import DeadLetter
from schemas.events.mailbox_commands import Deliver, FoldJournal, RebuildViews
from schemas.ledger import DISCARDED, PARKED, REDRIVEN, DeadLetterState
from streams.codec import decode_of
from streams.dead_letters import headers
from streams.topology import TOPIC_OF

_ODD = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+")
KIND_MAX_CHARS = 120


class DeadLetterMark(msgspec.Struct, frozen=True, kw_only=True):
    """What was done with a letter: redriven | discarded."""

    letter_id: str
    done: str
    at_ms: int
    reason: str = ""


class ParkedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A letter on dead.letters."""

    id: str
    letter: DeadLetter | None  # None: its headers do not say where it came from
    redriven_at_ms: int | None = None  # the last time
    discarded_at_ms: int | None = None
    reason: str = ""  # why it was discarded

    @property
    def waits(self) -> bool:
        """Nobody has done anything about it yet."""
        return self.redriven_at_ms is None and self.discarded_at_ms is None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterFilter:
    """Which letters: `cause` is a part of it in any case; "" and 0 let all through."""

    cause: str = ""
    stage: str = ""
    since_ms: int = 0

    def fits(self, letter: DeadLetter | None) -> bool:
        """A letter that does not say where it came from fits only when all are wanted."""
        if letter is None:
            return self == DeadLetterFilter()
        return (
            self.cause.casefold() in letter.cause.casefold()
            and self.stage in {"", letter.stage}
            and letter.at_ms >= self.since_ms
        )


class _Named(msgspec.Struct):
    """What any event of a mail tells of it."""

    mail_id: str = ""
    user_id: str = ""
    content: Content | None = None


_named = msgspec.msgpack.Decoder(_Named).decode


def id_of(record: Any) -> str:
    """The id of the letter that a record of dead.letters is."""
    return f"{record.partition}-{record.offset}"


def mark_of(record: Any) -> DeadLetterMark | None:
    """None for a letter."""
    told = headers.texts(record.headers)
    of = {REDRIVEN: told.get(headers.REDRIVEN_OF), DISCARDED: told.get(headers.DISCARDED_OF)}
    done = next((done for done, letter_id in of.items() if letter_id is not None), None)
    if done is None:
        return None
    at_ms = told.get(headers.AT_MS, "")
    return DeadLetterMark(
        letter_id=of[done] or "",
        done=done,
        at_ms=int(at_ms) if at_ms.isdecimal() else record.timestamp,
        reason=told.get(headers.REASON, ""),
    )


def parked_of(record: Any, *, emptied: bool = False) -> ParkedRecord:
    """The letter of a record; `emptied` leaves its value out, which may hold 2 MiB."""
    value = b"" if emptied else record.value
    letter = headers.letter(headers.texts(record.headers), record.key, value)
    return ParkedRecord(id=id_of(record), letter=letter)


def marked(parked: ParkedRecord, mark: DeadLetterMark) -> ParkedRecord:
    """`parked` after what `mark` says. Sent back again, it is no longer discarded."""
    if mark.done == REDRIVEN:
        return msgspec.structs.replace(
            parked, redriven_at_ms=mark.at_ms, discarded_at_ms=None, reason=""
        )
    return msgspec.structs.replace(parked, discarded_at_ms=mark.at_ms, reason=mark.reason)


def is_owners(letter: DeadLetter) -> bool:
    """Whether the letter may be a mailbox owner's command; a delivery and upkeep are not."""
    topic = TOPIC_OF[Deliver]
    if letter.topic != topic.name:
        return False
    try:
        command = decode_of(topic, letter.offset, letter.value)
    except Undecodable:
        return True
    return not isinstance(command, Deliver | RebuildViews | FoldJournal)


def named_in(value: bytes | None) -> tuple[str, str, str]:
    """Mail id, user id and content reference that an event's bytes tell; "" where they do not."""
    try:
        found = _named(value or b"")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return "", "", ""
    ref = found.content.ref if isinstance(found.content, Stored) else ""
    return found.mail_id, found.user_id, ref


def custody_letter(record: Any) -> DeadLetterState | None:
    """The record as the ledger notes it; None for a letter of no mail.

    A mail whose event cannot be read is told by its key, which is the mail id on its topics.
    """
    mark = mark_of(record)
    if mark is not None:
        return DeadLetterState(letter_id=mark.letter_id, state=mark.done, at_ms=mark.at_ms)
    told = headers.texts(record.headers)
    mail_id, user_id, ref = named_in(record.value)
    if not mail_id and told.get(headers.ORIGIN_TOPIC, "").startswith("mail."):
        mail_id = (record.key or b"").decode("utf-8", "replace")
    if not mail_id:
        return None
    return DeadLetterState(
        letter_id=id_of(record),
        state=PARKED,
        at_ms=record.timestamp,
        mail_id=mail_id,
        user_id=user_id,
        ref=ref,
    )


def kind_of(cause: str) -> str:
    """A cause without what differs from mail to mail, to be counted by."""
    return _ODD.sub("…", " ".join(cause.split()))[:KIND_MAX_CHARS]
