"""Run the role `intake` of this tree on a broker, send it mail, print the mailbox commands.

`python -m tests.system.docs.screened_role BOOTSTRAP FOLDER`; the stage of extending.md is built in.
"""

import asyncio
import json
import sys
from pathlib import Path

import msgspec
from agents.screen import read_blocked

from agents.ports import IntakePorts
from cli.roles.workers import intake_handlers
from schemas.mail import EmailAddress
from stores.memory import (
    MemoryContentStore,
    MemoryDirectory,
    MemoryHolders,
    MemoryOutlineStore,
    MemoryQuarantine,
)
from streams.codec import decode
from streams.config import Bootstrap, PublisherConfig, StreamsConfig, TopicsConfig
from streams.publisher import KafkaPublisher
from streams.topics.admin import ensure_topics
from streams.topology import stages_of
from streams.worker.worker import Worker
from tests.streams.conftest import read_all
from tests.support.agent_builders import scanned

SENT = {"m1": "Kim@Example.kr", "m2": "news@shop.example", "m3": "ann@friend.example"}


def mails():
    """The first by a blocked address, the second of a blocked domain, by their From: alone."""
    for mail_id, address in SENT.items():
        mail = scanned(mail_id=mail_id)
        envelope = msgspec.structs.replace(mail.envelope, reverse_path="bounce@sender.example")
        head = msgspec.structs.replace(mail.head, sender=EmailAddress("", address))
        yield msgspec.structs.replace(mail, envelope=envelope, head=head)


async def main(bootstrap: Bootstrap, folder: Path) -> None:
    (folder / "blocked-senders").write_text("kim@example.kr\nshop.example\n\n")
    epochs = await ensure_topics(TopicsConfig(bootstrap=bootstrap), MemoryDirectory())
    publisher = KafkaPublisher(PublisherConfig(bootstrap=bootstrap))
    await publisher.start()
    ports = IntakePorts(
        contents=MemoryContentStore(),
        outlines=MemoryOutlineStore(),
        holders=MemoryHolders(),
        quarantine=MemoryQuarantine(),
        blocked=read_blocked(folder / "blocked-senders"),
    )
    worker = Worker(
        "intake",
        lambda _: intake_handlers(ports),
        stages=[stage for stage in stages_of("intake") if stage.name in intake_handlers(ports)],
        config=StreamsConfig(bootstrap=bootstrap, worker="w1", data_folder=folder / "faust"),
        publisher=publisher,
        epochs=epochs,
    )
    stop = asyncio.Event()
    working = asyncio.create_task(worker.run(stop))
    await publisher.publish(*mails())
    print(json.dumps(await asyncio.wait_for(delivered(bootstrap), 60)))
    stop.set()
    await working
    await publisher.stop()


async def delivered(bootstrap: Bootstrap) -> dict[str, list]:
    """By mail: its folder, and the stages it passed with what they said."""
    while True:
        records = await read_all(bootstrap, "mailbox.commands")
        orders = [decode("mailbox.commands", one.offset, one.value) for one in records]
        if len(orders) == len(SENT):
            return {
                one.mail_id: [one.folder_id, [[hop.stage, hop.verdict] for hop in one.hops]]
                for one in orders
            }
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main(Bootstrap.parse(sys.argv[1]), Path(sys.argv[2])))
