"""The dead letter: a record of the topic dead.letters."""

import msgspec


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A parked event: its key and value unchanged, where it was, and why it was parked."""

    topic: str
    partition: int
    offset: int
    stage: str
    cause: str
    attempt: int
    at_ms: int
    key: bytes
    value: bytes
