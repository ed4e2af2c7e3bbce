"""What must hold at the end: the result of a model that applies the log in order."""

import asyncio
from collections import defaultdict

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer

from mail.errors import BrokerUnavailable
from mail.mailbox.list_filters import NO_FILTER
from mail.ports import MailStore
from schemas.events.mailbox_commands import Command, SequencedCommand
from schemas.events.mailbox_events import CommandAnswered, MailboxChanged, MailboxEvent, Position
from schemas.mailbox import FOLDERS, MailboxState, Message, Usage
from streams.codec import decode
from streams.config import Bootstrap
from streams.publisher import KafkaPublisher
from streams.readers.lag import LagMeter
from streams.topology import DEAD_LETTERS
from streams.worker.mailbox_table import UNREAD_CHANGELOG
from tests.support.mailbox_model import Model, counted
from tests.system.two_workers.fleet import WorkerFleet
from tests.system.two_workers.mailbox_commands import CHUNK_MAX, USERS, CommandGenerator

COMMANDS, EVENTS = "mailbox.commands", "mailbox.events"
AT_ONCE = 20  # commands published together


async def drained(fleet: WorkerFleet) -> None:
    """Wait until every command is acknowledged."""
    group, meter = "postriver-mailbox", LagMeter(fleet.bootstrap)
    await meter.start()
    try:
        async with asyncio.timeout(240):
            while (await meter.read({group: [COMMANDS]}))[group][COMMANDS]:
                fleet.tend()
                await asyncio.sleep(0.2)
    except TimeoutError:
        pytest.fail(f"not all commands were acknowledged; their logs:\n{fleet.logs()}")
    finally:
        await meter.stop()


async def publish(publisher: KafkaPublisher, generator: CommandGenerator, count: int) -> None:
    for _ in range(count // AT_ONCE):
        some = generator.more(AT_ONCE)
        while True:
            try:
                await publisher.publish(*some)
            except BrokerUnavailable:  # in doubt: repeat, as every producer of commands does
                generator.repeats += AT_ONCE
            else:
                break


async def check_all(bootstrap: Bootstrap, epoch: str, store: MailStore, given_min: int) -> str:
    """Check journals, views, events and the table; return what there was."""
    log = await commands(bootstrap, epoch)
    assert len([command for command, _ in log if not getattr(command, "chunk", 0)]) >= given_min
    models, positions = replayed(log)
    journals = {user: await store.journal(user, since_seq=0, limit=10**6) for user in USERS}
    for user in USERS:
        check_journal(models[user], positions[user], journals[user])
        await check_views(store, user, models[user])
    again = await check_events(bootstrap, log, journals)
    behind = await check_table(bootstrap, models)
    assert await records(bootstrap, DEAD_LETTERS) == []
    return (
        f"{len(log)} commands, {sum(map(len, journals.values()))} changes, "
        f"{again} commands handled again, table behind for {behind} users"
    )


async def records(bootstrap: Bootstrap, topic: str) -> list:
    """Return every record of a topic, in offset order within a partition."""
    consumer = AIOKafkaConsumer(
        topic, **bootstrap.options, auto_offset_reset="earliest", group_id=None
    )
    await consumer.start()
    try:
        found, ends = [], await consumer.end_offsets(consumer.assignment())
        for part, end in ends.items():
            while await consumer.position(part) < end:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += records
        return found
    finally:
        await consumer.stop()


async def commands(bootstrap: Bootstrap, epoch: str) -> list[tuple[Command, Position]]:
    """Return all commands except maintenance, which is not answered and changes nothing."""
    found = [
        (decode(COMMANDS, each.offset, each.value), Position(epoch, each.partition, each.offset))
        for each in await records(bootstrap, COMMANDS)
    ]
    return [
        (command, position) for command, position in found if isinstance(command, SequencedCommand)
    ]


def replayed(
    log: list[tuple[Command, Position]],
) -> tuple[dict[str, Model], dict[str, list[Position]]]:
    """Return a model of each mailbox after all commands, and the positions of effective commands.

    All commands of a user are in one partition, in order.
    """
    models: dict[str, Model] = {user: Model(chunk_max=CHUNK_MAX) for user in USERS}
    positions: dict[str, list[Position]] = defaultdict(list)
    for command, position in log:
        if models[command.user_id].apply(command):
            positions[command.user_id].append(position)
    return models, positions


def check_journal(model: Model, positions: list[Position], journal: list[MailboxChanged]) -> None:
    assert [entry.seq for entry in journal] == list(range(1, len(model.steps) + 1))
    for entry, step, position in zip(journal, model.steps, positions, strict=True):
        changes = {
            change.message_id: (change.places, change.keywords, change.deleted_in)
            for change in entry.changes
        }
        assert (entry.command_id, entry.position) == (step.command.command_id, position)
        assert changes == step.changed
        assert entry.usage == Usage(*step.usage)
        assert bool(entry.follow_up) == step.goes_on
        for one in entry.folders:
            expected = step.counts.get(one.id, (0, 0, 0, 0))
            assert (one.total, one.unread, one.deleted, one.size_bytes) == expected


async def check_views(store: MailStore, user: str, model: Model) -> None:
    """Lists show each message once per folder; counts equal a recount."""
    state = await store.load(user)
    found: dict[str, Message] = {}
    for folder in {*FOLDERS, *state.folders}:
        listed = await _listed(store, user, folder)
        by_uid = await store.by_uid(user, folder, after_uid=0, limit=500)
        shown = {row.message_id for row in by_uid if folder in row.shown_places}
        assert sorted(row.message_id for row in listed) == sorted(shown)
        assert len(by_uid) == sum(folder in kept.places for kept in model.alive().values())
        found |= {row.message_id: row for row in by_uid}
    assert {id_: (row.places, row.keywords, row.deleted_in) for id_, row in found.items()} == {
        id_: kept.told for id_, kept in model.alive().items()
    }
    assert {id_: row.thread_id for id_, row in found.items()} == {
        id_: kept.thread_id for id_, kept in model.alive().items()
    }
    assert state.seq == model.seq
    assert _counts(state) == counted(model.alive().values())
    own = {id_: (it.name, it.parent_id) for id_, it in state.own.items() if not it.deleting}
    assert own == model.box.own
    assert await store.usage(user) == state.usage


async def _listed(store: MailStore, user: str, folder: str) -> list[Message]:
    found, cursor = [], None
    while True:
        page = await store.page(user, folder, conditions=NO_FILTER, limit=500, cursor=cursor)
        found += page.messages
        cursor = page.next_cursor
        if cursor is None:
            return found


def _counts(state: MailboxState) -> dict[str, tuple[int, int, int, int]]:
    return {
        id_: (one.total, one.unread, one.deleted, one.size_bytes)
        for id_, one in state.folders.items()
        if one.total + one.deleted
    }


async def check_events(
    bootstrap: Bootstrap,
    log: list[tuple[Command, Position]],
    journals: dict[str, list[MailboxChanged]],
) -> int:
    """Check that every change was published as journalled, in order; return the surplus events.

    Each command of the log has one event; a surplus comes from kills.
    """
    events: list[MailboxEvent] = [
        decode(EVENTS, each.offset, each.value) for each in await records(bootstrap, EVENTS)
    ]
    changes: dict[str, list[MailboxChanged]] = defaultdict(list)
    for event in events:
        if not isinstance(event, CommandAnswered):
            changes[event.user_id].append(event)
    for user, journal in journals.items():
        assert list(dict.fromkeys(event.seq for event in changes[user])) == [
            entry.seq for entry in journal
        ]
        by_seq = {entry.seq: entry for entry in journal}
        assert all(event == by_seq[event.seq] for event in changes[user])
    answered = {(event.user_id, event.command_id) for event in events}
    assert answered == {(command.user_id, command.command_id) for command, _ in log}
    return len(events) - len(log)


async def check_table(bootstrap: Bootstrap, models: dict[str, Model]) -> int:
    """Check every value of the table against its seq; return for how many users it is behind."""
    last: dict[str, int] = {}
    for record in await records(bootstrap, UNREAD_CHANGELOG):
        user = record.key.decode()
        state = msgspec.msgpack.decode(record.value, type=MailboxState)
        if state.seq:
            assert _counts(state) == models[user].steps[state.seq - 1].counts
        last[user] = state.seq
    return sum(last.get(user, 0) != model.seq for user, model in models.items())
