"""Correspondents of a user: which messages count, the limit, prefix search, the consistency check.

A message counts when it comes into a folder that makes it count: into Sent for its recipients; into
any folder but Sent, Drafts, junk and trash for its sender. It counts again if it comes back there.
Counts never decrease, so they cannot be computed from the messages that exist. Beyond the limit the
least recent correspondents are dropped.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from heapq import nsmallest

import msgspec

from mail.addresses import ADDRESS_MAX_BYTES, normal_address
from mail.errors import BadAddress
from mail.text_cleaning import one_line
from schemas.correspondents import Correspondent
from schemas.mail import EmailAddress
from schemas.mailbox import DRAFTS, JUNK, SENT, TRASH, Message

CORRESPONDENTS_MAX = 5_000  # of one user, after a drop
DROP_EVERY_STEPS = 32
NAME_MAX_CHARS = 128
WORDS_MAX = 10  # of a name
INNER_MAX_CHARS = 8  # a word up to this length, not in ASCII, is found from each character
SEPARATOR = "\n"  # before each text in which a search may begin
_NO_SENDERS = frozenset({SENT, DRAFTS, JUNK, TRASH})  # folders in which a sender does not count

Correspondents = Mapping[str, Correspondent]  # by the normal form of the address


def counted(before: Message | None, after: Message) -> dict[str, Correspondent]:
    """What a new or changed message adds, by the normal form of the address."""
    added: dict[str, Correspondent] = {}
    kinds = _kinds(after) - (_kinds(before) if before else set())
    head = after.head
    if "sent" in kinds:
        for recipient in (*head.to, *head.cc):
            _add(added, recipient, Correspondent(address="", sent=1, last_ms=after.received_at_ms))
    if "received" in kinds and head.sender:
        _add(
            added, head.sender,
            Correspondent(address="", received=1, last_ms=after.received_at_ms),
        )  # fmt: skip
    return added


def merged(known: Correspondent | None, added: Correspondent) -> Correspondent:
    """The sum of both; address and name are those of the newer one."""
    if known is None:
        return added
    older, newer = sorted((known, added), key=lambda one: one.last_ms)
    return Correspondent(
        address=newer.address,
        name=newer.name or older.name,
        sent=known.sent + added.sent,
        received=known.received + added.received,
        last_ms=newer.last_ms,
    )


def is_drop_due(seq: int) -> bool:
    """Whether the step `seq` drops the least recent: counting all rows costs up to 0.5 ms."""
    return seq % DROP_EVERY_STEPS == 0


def least_recent(last_seen: Iterable[tuple[int, str]], count: int) -> list[str]:
    """The keys of the rows beyond the limit, by `last_ms`, then key; `count` is that of all."""
    beyond = max(0, count - CORRESPONDENTS_MAX)
    return [key for _, key in nsmallest(beyond, last_seen)] if beyond else []


def searched_text(correspondent: Correspondent) -> str:
    """The texts in which a search may begin, each after SEPARATOR: parts of the name, address."""
    words = correspondent.name.split()[:WORDS_MAX]
    starts = [start for number in range(len(words)) for start in _starts(words[number:])]
    _, _, domain = correspondent.address.rpartition("@")
    texts = dict.fromkeys(map(_folded, [*starts, correspondent.address, domain]))
    return "".join(SEPARATOR + text for text in texts)


def searched_prefix(text: str) -> str | None:
    """The text to look for in `searched_text`; None if `text` is empty."""
    folded = " ".join(_folded(text).split())
    return SEPARATOR + folded if folded else None


def found(known: Correspondents, prefix: str, limit: int) -> list[Correspondent]:
    """Those of `known` that a search for `prefix` finds, in its order."""
    text = searched_prefix(prefix)
    matching = [
        (-one.sent, -one.last_ms, address)
        for address, one in known.items()
        if text and text in searched_text(one)
    ]
    return [known[address] for _, _, address in sorted(matching)[:limit]]


def lacking(stored: Correspondents, expected: Correspondents) -> dict[str, Correspondent]:
    """The correct rows of correspondents that the messages prove, and that are missing or too low.

    `expected` is counted from the messages that exist. While nothing was dropped, no count and no
    time may be below that. After a drop, a correspondent may be missing if it is not more recent
    than all others, and its count may have begun again.
    """
    has_dropped = len(stored) >= CORRESPONDENTS_MAX
    oldest_ms = min((one.last_ms for one in stored.values()), default=0)
    wrong = {}
    for key, least in expected.items():
        known = stored.get(key)
        if known is None:
            if not has_dropped or least.last_ms > oldest_ms:
                wrong[key] = least
        elif (best := _at_least(known, least)) != known and (
            not has_dropped or known.last_ms < least.last_ms
        ):
            wrong[key] = best
    return wrong


def _at_least(known: Correspondent, least: Correspondent) -> Correspondent:
    return msgspec.structs.replace(
        known,
        sent=max(known.sent, least.sent),
        received=max(known.received, least.received),
        last_ms=max(known.last_ms, least.last_ms),
    )


def _kinds(row: Message) -> set[str]:
    kinds = {"received"} if row.places.keys() - _NO_SENDERS else set()
    return kinds | ({"sent"} if SENT in row.places else set())


def _add(added: dict[str, Correspondent], mailbox: EmailAddress, counts: Correspondent) -> None:
    """Add `counts` for the mailbox unless it is there already, or its address is invalid."""
    if len(mailbox.address) > ADDRESS_MAX_BYTES:
        return
    try:
        key = normal_address(mailbox.address)
    except BadAddress:
        return
    name = one_line(mailbox.name, limit=NAME_MAX_CHARS)
    added.setdefault(key, msgspec.structs.replace(counts, address=mailbox.address, name=name))


def _starts(words: list[str]) -> Iterable[str]:
    """The words from the first, and from each character of a short first word not in ASCII.

    So a Korean given name is found without the family name, which is written before it.
    """
    yield " ".join(words)
    first = unicodedata.normalize("NFC", words[0])
    if not first.isascii() and len(first) <= INNER_MAX_CHARS:
        for start in range(1, len(first)):
            yield " ".join([first[start:], *words[1:]])


def _folded(text: str) -> str:
    """Return `text` without case, decomposed: 하느, a syllable being typed, is a prefix of 하늘."""
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
