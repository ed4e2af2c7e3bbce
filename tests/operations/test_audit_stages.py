"""The audit names exactly the mail that was removed by hand, at each stage.

Log, ledger, stores and contents are real adapters; no process reads the topics.
"""

import os
import random
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from mail.clock import now_ms
from mail.ids import new_id
from operations.audit import audit
from operations.ports import AuditPorts
from schemas.dead_letters import DeadLetter
from schemas.ledger import IN_FLIGHT, PARKED, QUARANTINED, STORED, AcceptedMail
from stores.filesystem.content_store import FilesystemContentStore
from stores.sqlite.ledger import SqliteLedger
from stores.sqlite.mail_store.store import SqliteMailStore
from stores.sqlite.quarantine import SqliteQuarantine
from streams.codec import encode
from streams.config import Bootstrap, PublisherConfig, TopicsConfig
from streams.dead_letters.parking import park
from streams.log_client import LogClient
from streams.publisher import KafkaPublisher
from streams.readers.in_flight_search import LogDeadLetters, LogInFlightMails
from streams.topics.admin import make_topics
from streams.topology import DEAD_LETTERS
from tests.support.agent_builders import scanned
from tests.support.custody_world import quarantined, store_message
from tests.support.event_builders import deliver, received, validated
from tests.support.log import commit, fresh

pytestmark = pytest.mark.kafka
ROLES = {
    "mail.received": "intake",
    "mail.validated": "scan",
    "mail.scanned": "intake",
    "mailbox.commands": "mailbox",
    DEAD_LETTERS: "custody",
}
STORES = ("message", "quarantine", "content")
EACH = 4


@dataclass
class Place:
    """Every place where a mail can be; `remove` deletes one mail from a place."""

    bootstrap: Bootstrap
    prefix: str
    folder: Path
    ports: AuditPorts
    dice: random.Random
    mails: dict[str, list[str]]

    async def put(self, river: KafkaPublisher) -> None:
        for topic in ROLES:
            self.mails[topic] = [new_id() for _ in range(EACH)]
        for stage in STORES:
            self.mails[stage] = [new_id() for _ in range(EACH)]
        entered = [
            AcceptedMail(mail_id=mail_id, accepted_at_ms=now_ms(), user_ids=("u1",))
            for mail_ids in self.mails.values()
            for mail_id in mail_ids
        ]
        await self.ports.ledger.add(entered)
        for make, topic in ((received, "mail.received"), (validated, "mail.validated")):
            await river.publish(*map(make, self.mails[topic]))
        await river.publish(*(scanned(mail_id=one) for one in self.mails["mail.scanned"]))
        await river.publish(*(deliver(one, "u1") for one in self.mails["mailbox.commands"]))
        for mail_id in self.mails[DEAD_LETTERS]:
            await park(river, a_letter(mail_id))
        for mail_id in (*self.mails["message"], *self.mails["content"]):
            await store_message(self.ports.store, self.ports.contents, mail_id, "u1")
        for mail_id in self.mails["quarantine"]:
            content = await self.ports.contents.put(mail_id, b"bytes")
            await self.ports.quarantine.put(quarantined(mail_id, "u1", content=content))

    async def remove(self, stage: str) -> str:
        """Remove one mail of the stage; return its id."""
        if stage in ROLES:
            return await self._from_log(stage)
        mail_id = self.dice.choice(self.mails[stage])
        if stage == "content":
            self.ports.contents.remove(mail_id)
        else:
            name, table = ("mail", stage) if stage == "message" else (stage, "quarantined")
            connection = sqlite3.connect(self.folder / f"{name}.sqlite")
            with connection:
                connection.execute(f"DELETE FROM {table} WHERE mail_id = ?", (mail_id,))
            connection.close()
        return mail_id

    async def _from_log(self, topic: str) -> str:
        """Remove the first mail of a partition: its reader skips it, or the record is deleted."""
        places = await self._places(topic)
        part = self.dice.choice(sorted(places))
        offset, mail_id = places[part][0]
        if topic != DEAD_LETTERS and self.dice.random() < 0.5:  # a dead letter has no reader
            await commit(self.bootstrap, self.prefix + ROLES[topic], {tuple(part): offset + 1})
        else:
            async with LogClient(self.bootstrap) as log:
                await log.delete_before({part: offset + 1})
        return mail_id

    async def _places(self, topic: str) -> dict[TopicPartition, list[tuple[int, str]]]:
        found: defaultdict[TopicPartition, list[tuple[int, str]]] = defaultdict(list)
        async with LogClient(self.bootstrap) as log:
            parts = await log.partitions([topic])
            begins, ends = await log.begins(parts), await log.ends(parts)
            async for record in log.read({part: (begins[part], ends[part]) for part in parts}):
                mine = [one for one in self.mails[topic] if one.encode() in (record.value or b"")]
                part = TopicPartition(topic, record.partition)
                found[part] += [(record.offset, one) for one in mine]
        return {part: mails for part, mails in found.items() if mails}


def a_letter(mail_id: str) -> DeadLetter:
    return DeadLetter(
        topic="mail.received",
        partition=0,
        offset=1,
        stage="validate",
        cause="RuntimeError: odd",
        attempt=5,
        at_ms=now_ms(),
        key=mail_id.encode(),
        value=encode(received(mail_id)),
    )


@pytest.fixture
async def place(broker, tmp_path: Path) -> AsyncIterator[Place]:
    seed = int(os.environ.get("POSTRIVER_SEED") or random.randrange(2**32))
    print(f"POSTRIVER_SEED={seed}")
    prefix = fresh("stages")
    stores = (
        await SqliteLedger.open(tmp_path / "ledger.sqlite"),
        await SqliteMailStore.open(tmp_path / "mail.sqlite"),
        await SqliteQuarantine.open(tmp_path / "quarantine.sqlite"),
        await FilesystemContentStore.open(tmp_path / "content"),
    )
    ports = AuditPorts(
        ledger=stores[0],
        store=stores[1],
        quarantine=stores[2],
        contents=stores[3],
        letters=LogDeadLetters(broker.bootstrap),
        in_flight=LogInFlightMails(broker.bootstrap, group_prefix=prefix),
    )
    yield Place(broker.bootstrap, prefix, tmp_path, ports, random.Random(seed), {})
    for store in stores:
        await store.close()


async def test_the_audit_names_what_was_removed_at_each_stage(broker, place: Place) -> None:
    await make_topics(TopicsConfig(bootstrap=broker.bootstrap, partitions=3))
    river = KafkaPublisher(PublisherConfig(bootstrap=broker.bootstrap, linger_ms=0))
    await river.start()
    try:
        await place.put(river)
    finally:
        await river.stop()

    async def account():
        span = {"since_ms": now_ms() - 600_000, "until_ms": now_ms() + 1}
        return await audit(place.ports, pause_s=0, **span)

    whole = await account()
    assert whole.lost == ()
    assert whole.counts == {
        STORED: 2 * EACH, QUARANTINED: EACH, PARKED: EACH, IN_FLIGHT: 4 * EACH,
    }  # fmt: skip
    stages = [*ROLES, *STORES]
    place.dice.shuffle(stages)
    removed: set[str] = set()
    for stage in stages:
        removed.add(await place.remove(stage))
        found = await account()
        assert {one.mail_id for one in found.lost} == removed, stage
        assert found.deliveries == whole.deliveries
