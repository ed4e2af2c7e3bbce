"""What has become of a mail, by the evidence: pure rules of the ledger and of the audit."""

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
)

_HEADER_END = b"\r\n\r\n"
_MESSAGE_ID = re.compile(rb"^message-id[ \t]*:\s*<([^<>]+)>", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailEvidence:
    """Where a mail was seen."""

    stored: frozenset[str] = frozenset()  # owners who have it, or had it until they deleted it
    letters: tuple[DeadLetterState, ...] = ()
    quarantine: str = OPEN  # quarantined | released | discarded
    waiting: frozenset[str] = frozenset()  # owners whose record is in the log; EVERYONE: all


def state_of(user_id: str, seen: MailEvidence) -> str:
    """The mail's state for one of its owners; OPEN when the evidence does not tell.

    What waits outranks quarantine: a released mail has its row there still.
    """
    letters = {each.state for each in seen.letters if each.user_id in {EVERYONE, user_id}}
    if user_id in seen.stored:
        return STORED
    if PARKED in letters:
        return PARKED
    if seen.waiting & {EVERYONE, user_id}:
        return IN_FLIGHT
    if seen.quarantine == QUARANTINED:
        return QUARANTINED
    return DISCARDED if DISCARDED in letters | {seen.quarantine} else OPEN


def message_id_header(content: bytes) -> str:
    """The Message-ID (RFC 5322 §3.6.4) without brackets, as Head has it; "" when none is plain.

    A quick look for the ledger; the odd ones are known once the mail was parsed.
    """
    found = _MESSAGE_ID.search(content, 0, content.find(_HEADER_END) + 1 or len(content))
    return one_line(guess_text(found[1]), limit=ID_MAX_CHARS) if found else ""


def short_hash(text: str) -> int:
    """63 bits of a text, for look-ups by equality."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) >> 1
