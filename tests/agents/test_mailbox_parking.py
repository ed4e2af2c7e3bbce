"""mailbox, before parking: a journalled command is published and never parked."""

from pathlib import Path

from agents.mailbox import mailbox
from agents.mailbox_parking import journalled
from cli.roles.workers import mailbox_handlers
from mail.errors import SetAside
from schemas.events.mailbox_commands import DestroyMessages, RebuildViews
from schemas.events.mailbox_events import MailboxChanged
from schemas.mailbox import TRASH
from stores.memory import MemoryHolders, MemoryMailStore
from streams.codec import encode
from streams.config import StreamsConfig
from streams.topology import BY_NAME, stages_of
from streams.worker.context import WorkerContext
from streams.worker.event_handling import EventHandling, ReceivedEvent
from streams.worker.status import RoleStatus
from tests.streams.worker.test_event_handling import FakePublisher
from tests.support.agent_builders import OneTry, deliver, mailbox_ports, order


class Failing(MemoryHolders):
    """Releases holders after some unexpected errors."""

    failures = 7

    async def release_all(self, pairs) -> None:
        self.failures -= 1
        if self.failures >= 0:
            raise ValueError("something nobody foresaw")
        await super().release_all(pairs)


async def test_a_command_that_its_journal_has_is_published_whatever_fails_behind_it() -> None:
    store = MemoryMailStore()
    ports = mailbox_ports(store=store, holders=Failing())
    await mailbox(deliver("m1", folder_id=TRASH), OneTry(offset=0), mailbox_ports(store=store))
    config = StreamsConfig(
        bootstrap="", worker="w", data_folder=Path(), hold_first_s=0.001, unexpected_first_s=0.001
    )
    (stage,) = stages_of("mailbox")
    publisher, status = FakePublisher(), RoleStatus()
    handling = EventHandling(
        stage=stage,
        topic=BY_NAME["mailbox.commands"],
        epoch="e1",
        handler=mailbox_handlers(ports)["mailbox"],
        worker=WorkerContext(publisher=publisher, config=config, status=status),
    )
    destroy = order(DestroyMessages, "c2", "m1", unchanged_since_seq=1)
    arrival = ReceivedEvent(partition=0, offset=2, key=b"bob", value=encode(destroy))
    await handling.handle(arrival, lambda: True)
    (event,) = publisher.events
    assert isinstance(event, MailboxChanged)
    assert event.command_id == "c2"
    assert publisher.dead == []
    assert ports.holders.failures < 0
    assert status.events["mailbox", "held"] >= 6


async def test_a_command_that_is_set_aside_is_published_if_it_is_journalled() -> None:
    ports = mailbox_ports()
    command = deliver("m1")
    assert await journalled(command, OneTry(), ports, SetAside()) is None
    outputs = await mailbox(command, OneTry(), ports)
    assert await journalled(command, OneTry(), ports, SetAside()) == tuple(outputs)
    assert ports.states.get("bob") is None  # the next command reads the store first
    rebuild = RebuildViews(
        command_id="c3", user_id="bob", domain_id="d1", at_ms=3, parts=("lists",)
    )
    assert await journalled(rebuild, OneTry(), ports, SetAside()) is None
