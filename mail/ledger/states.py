"""State of a mail for each owner, derived from evidence: pure rules of ledger and audit."""

import hashlib
import re
from dataclasses import dataclass

from mail.mime.charsets import guess_text
from mail.mime.header_fields import ID_MAX_CHARS
from mail.text_cleaning import one_line
from schemas.ledger import (
    DISCARDED,
    EVERYONE,
    IN_FLIGHT,
    OPEN,
    PARKED,
    QUARANTINED,
    STORED,
    DeadLetterState,
    QuarantineState,
    RecipientState,
)

_HEADER_END = b"\r\n\r\n"
_MESSAGE_ID = re.compile(rb"^message-id[ \t]*:\s*<([^<>]+)>", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailEvidence:
    """Where a mail was found."""

    stored: frozenset[str] = (
        frozenset()
    )  # users in whose mailbox it is, or was before they destroyed it
    dead_letters: tuple[DeadLetterState, ...] = ()
    quarantine: QuarantineState = OPEN
    waiting: frozenset[str] = frozenset()  # users whose record is in the log; EVERYONE: all


def state_of(user_id: str, evidence: MailEvidence) -> RecipientState:
    """The mail's state for one owner; OPEN if there is no evidence.

    A record in the log takes precedence over quarantine: a released mail keeps its quarantine row.
    """
    letter_states = {
        each.state for each in evidence.dead_letters if each.user_id in {EVERYONE, user_id}
    }
    if user_id in evidence.stored:
        return STORED
    if PARKED in letter_states:
        return PARKED
    if evidence.waiting & {EVERYONE, user_id}:
        return IN_FLIGHT
    if evidence.quarantine == QUARANTINED:
        return QUARANTINED
    return DISCARDED if DISCARDED in letter_states | {evidence.quarantine} else OPEN


def message_id_header(content: bytes) -> str:
    """The Message-ID (RFC 5322 §3.6.4) without brackets, as in HeaderSummary; "" if not plain.

    A fast search for the ledger; the parser finds unusual forms later.
    """
    match = _MESSAGE_ID.search(content, 0, content.find(_HEADER_END) + 1 or len(content))
    return one_line(guess_text(match[1]), limit=ID_MAX_CHARS) if match else ""


def short_hash(text: str) -> int:
    """A 63-bit hash of `text`, for lookups by equality."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) >> 1
