"""Holders of deposits that a backup has in its log alone."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from cli.backup.deposit_holders import hold_deposits
from mail.ids import holder_of
from schemas.events.mailbox_commands import Batch, Deliver, ExpungeMessages
from schemas.mail import APPEND, Hop
from stores.memory import MemoryHolders
from streams.codec import encode
from streams.readers import log_snapshot
from streams.readers.log_snapshot import UnconsumedRecord
from tests.support.event_builders import deliver

COMMON = {"user_id": "ann", "domain_id": "d", "at_ms": 1}


def deposited(mail_id: str) -> Deliver:
    hop = Hop(stage=APPEND, started_at_ms=1, took_ms=1, verdict="clean", attempt=1, worker="api")
    return msgspec.structs.replace(deliver(mail_id, "ann"), hops=(hop,))


async def test_deposits_in_the_log_are_held_alone_and_as_parts_of_a_batch(tmp_path: Path) -> None:
    gone = ExpungeMessages(command_id="c", message_ids=("old",), **COMMON)
    batch = Batch(command_id="b", parts=(deposited("m2"), gone), is_atomic=True, **COMMON)

    async def records() -> AsyncIterator[UnconsumedRecord]:
        for event in (deposited("m1"), deliver("routed", "ann"), gone, batch):
            yield UnconsumedRecord("mailbox.commands", b"ann", encode(event))
        yield UnconsumedRecord("mailbox.commands", b"ann", b"no event")
        yield UnconsumedRecord("mail.received", b"m9", b"")

    await log_snapshot.write(tmp_path / "records", records())
    holders = MemoryHolders()
    for _ in range(2):
        assert await hold_deposits(tmp_path / "records", holders) == 2
    held = {(row.mail_id, row.holder, row.ref) for row in holders.rows.values()}
    expected = {
        (row.mail_id, name, row.content.ref)
        for row in (deposited("m1"), deposited("m2"))
        for name in ("deposit", holder_of(row.mail_id, "ann", row.message_id))
    }
    assert held == expected
