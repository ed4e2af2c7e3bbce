"""Correspondents of MemoryMailStore: counting, search, and what a check finds missing."""

from collections.abc import Iterable

from mail.mailbox import correspondents as rules
from schemas.correspondents import Correspondent
from schemas.mailbox import Message


def count(known: dict[str, Correspondent], before: Message | None, after: Message) -> None:
    """Count a new or changed message."""
    for address, added in rules.counted(before, after).items():
        known[address] = rules.merged(known.get(address), added)


def drop(known: dict[str, Correspondent]) -> None:
    """Drop the least recent correspondents beyond the limit."""
    last_seen = ((one.last_ms, address) for address, one in known.items())
    for address in rules.least_recent(last_seen, len(known)):
        del known[address]


def lacking(stored: dict[str, Correspondent], rows: Iterable[Message]) -> dict[str, Correspondent]:
    """The correct correspondents that `rows` prove, and that are missing or counted too low."""
    expected: dict[str, Correspondent] = {}
    for row in rows:
        count(expected, None, row)
    drop(expected)
    return rules.lacking(stored, expected)
