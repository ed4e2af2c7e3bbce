"""What travels on the topics: facts in the past tense, frozen, versioned by their tag.

A new field has a default; a changed meaning is a new tag. Ids are made before the work and travel.
"""

import msgspec

from schemas.content import Content, Stored
from schemas.mail import Envelope, Head, Hop, Verdict
from schemas.mailbox import FolderCounts


class Position(msgspec.Struct, frozen=True):
    """Where a command stands in the log; `epoch` changes when the topic is made anew."""

    epoch: str
    partition: int
    offset: int


class MailReceived(msgspec.Struct, frozen=True, kw_only=True, tag="mail.received.v1"):
    """We answered 250: the mail is durable and ours (RFC 5321 §6.1)."""

    mail_id: str  # UUIDv7, made at ingress
    envelope: Envelope
    content: Content  # trace header (Return-Path, Received), then the bytes as accepted
    trace_size_bytes: int
    received_at_ms: int
    hops: tuple[Hop, ...] = ()


class MailValidated(msgspec.Struct, frozen=True, kw_only=True, tag="mail.validated.v1"):
    """Its structure was read, or marked unreadable."""

    mail_id: str
    envelope: Envelope
    content: Content
    trace_size_bytes: int
    received_at_ms: int
    head: Head
    hops: tuple[Hop, ...] = ()


class MailScanned(msgspec.Struct, frozen=True, kw_only=True, tag="mail.scanned.v1"):
    """Both scanners spoke, and it may be delivered: clean or (into Junk) spam.

    Or an operator released it from quarantine against `verdict`: then `released_by` says who.
    """

    mail_id: str
    envelope: Envelope
    content: Content
    trace_size_bytes: int
    received_at_ms: int
    head: Head
    verdict: Verdict
    hops: tuple[Hop, ...] = ()
    released_by: str = ""


class Deliver(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.deliver.v1"):
    """Put one message into one mailbox. Idempotent by `message_id`."""

    command_id: str
    user_id: str
    domain_id: str
    message_id: str  # UUIDv5(mail_id, user, received | sent)
    mail_id: str
    folder_id: str
    keywords: tuple[str, ...]
    content: Stored
    received_at_ms: int
    at_ms: int  # the command's time; handlers have no clock
    head: Head
    verdict: Verdict
    hops: tuple[Hop, ...]


class ChangeKeywords(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.change_keywords.v1"):
    """Add and remove keywords (RFC 8621 §4.1.1) of one message."""

    command_id: str
    user_id: str
    domain_id: str
    message_id: str
    add: tuple[str, ...]
    remove: tuple[str, ...]
    at_ms: int


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """What a created message's journal entry holds beyond places: enough to rebuild its row."""

    mail_id: str
    content: Stored
    received_at_ms: int
    verdict: Verdict
    hops: tuple[Hop, ...]


class MailboxChanged(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.changed.v1"):
    """One step of a mailbox: the journal's row, the change feed's entry and the event, all in one.

    Ids, places, keywords, counts and references; no subject and no body.
    """

    user_id: str
    domain_id: str
    seq: int  # dense per user, from 1
    command_id: str
    position: Position
    change: str  # created | updated | destroyed
    message_id: str
    places: dict[str, int]  # folder id -> uid, after the change
    keywords: tuple[str, ...]  # sorted, after the change
    folders: tuple[FolderCounts, ...]  # the touched ones, after the change
    at_ms: int
    delivered: Delivered | None = None  # with `created` only


class CommandAnswered(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.answered.v1"):
    """A command that changed nothing, and why. Takes no seq.

    `unchanged` (already so), `not_found`, `refused` (no keyword, or too many on one message).
    """

    user_id: str
    domain_id: str
    command_id: str
    outcome: str


Command = Deliver | ChangeKeywords
MailboxEvent = MailboxChanged | CommandAnswered
Event = MailReceived | MailValidated | MailScanned | Command | MailboxEvent
