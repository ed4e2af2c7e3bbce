"""Rows of the smaller stores: directory, quarantine, holders, dead letters."""

import msgspec


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """An event that could not be handled: its bytes unchanged, and why."""

    topic: str
    partition: int
    offset: int
    stage: str
    cause: str
    attempt: int
    at_ms: int
    key: bytes
    value: bytes
