"""Holders of deposits that a backup has in its log alone.

A deposit that was under way during the backup may be in the backup as a record of
`mailbox.commands`, after holders.sqlite was copied. No stage writes its holders again, as `route`
does for all other mail.
"""

from collections.abc import Iterator
from pathlib import Path

from mail.errors import Undecodable
from mail.ids import holder_of
from mail.ports import Holders
from schemas.events.mailbox_commands import Batch, Deliver
from schemas.events.unions import Event
from schemas.holders import DEPOSIT_HOLDER, Holder
from schemas.mail import APPEND
from streams.codec import decode
from streams.readers import log_snapshot
from streams.topology import TOPIC_OF

COMMANDS = TOPIC_OF[Deliver].name
_AT_ONCE = 500


async def hold_deposits(records: Path, holders: Holders) -> int:
    """Write the holders of all deposits in `records`; return their number. Safe to repeat.

    A holder that was released stays released.
    """
    rows: list[Holder] = []
    count = 0
    for deliver in _deposits(records):
        count += 1
        name = holder_of(deliver.mail_id, deliver.user_id, deliver.message_id)
        rows += (
            Holder(mail_id=deliver.mail_id, holder=holder, ref=deliver.content.ref)
            for holder in (DEPOSIT_HOLDER, name)
        )
        if len(rows) >= _AT_ONCE:
            await holders.hold(rows)
            rows = []
    await holders.hold(rows)
    return count


def _deposits(records: Path) -> Iterator[Deliver]:
    for record in log_snapshot.read(records):
        if record.topic != COMMANDS or record.value is None:
            continue
        try:
            event = decode(record.topic, 0, record.value)
        except Undecodable:  # its stage will park it
            continue
        yield from (one for one in _deliveries(event) if one.hops and one.hops[0].stage == APPEND)


def _deliveries(event: Event) -> tuple[Deliver, ...]:
    parts = event.parts if isinstance(event, Batch) else (event,)
    return tuple(part for part in parts if isinstance(part, Deliver))
