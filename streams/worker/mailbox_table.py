"""Mailbox states as a Faust table: raw bytes, recovered from the table's changelog.

The table may be behind for offsets that are already committed: its changelog write is not awaited
before the acknowledgement. The store's journal is the truth. So a user's entry counts only after it
was checked against the store since the last assignment.
"""

from typing import Any

import faust
import msgspec

from mail.ports import MailboxStates
from schemas.ids import UserId
from schemas.mailbox import MailboxState

UNREAD_CHANGELOG = "mailbox-unread-changelog"


class MailboxStatesTable(MailboxStates):
    """Implements mail.ports.MailboxStates."""

    def __init__(self, app: faust.App, *, partitions: int) -> None:
        raw = {
            "key_type": bytes, "value_type": bytes,
            "key_serializer": "raw", "value_serializer": "raw",
        }  # fmt: skip
        schema = faust.Schema(**raw)
        self._proven: set[str] = set()
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(MailboxState).decode
        self._table: Any = app.Table(
            "unread",
            schema=schema,
            key_type=bytes,
            value_type=bytes,
            partitions=partitions,
            changelog_topic=app.topic(
                UNREAD_CHANGELOG,
                schema=schema,
                **raw,
                partitions=partitions,
                compacting=True,
                acks=False,
                internal=True,
                maxsize=131_072,
                allow_empty=True,
            ),
        )

    def get(self, user_id: UserId) -> MailboxState | None:
        if user_id not in self._proven:
            return None
        raw = self._table.get(user_id.encode())
        return None if raw is None else self._decode(raw)

    def set(self, user_id: UserId, state: MailboxState) -> None:
        # Faust takes the partition from the stream's current event. A handler's task finds it in
        # the context of its own event's arrival (streams/worker/in_flight_window.py).
        self._table[user_id.encode()] = self._encode(state)
        self._proven.add(user_id)

    def doubt(self, user_id: UserId) -> None:
        self._proven.discard(user_id)

    def doubt_all(self) -> None:
        """Forget all proofs; called at every change of assignment."""
        self._proven.clear()
