"""Event tail, step by step on a log in memory: a topic that changes while it is read, and turns."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from streams.codec import encode
from streams.readers.event_tail import MAILBOX_EVENTS, EventTail, EventTailConfig, _TopicChanged
from tests.streams.readers.test_reader_steps import NOWHERE, Log
from tests.support.event_builders import answered

AT_ONCE = EventTailConfig(check_interval_s=0.001)


class ChangingLog(Log):
    """A log to which `between` happens before each poll."""

    between: Callable[[], None] = staticmethod(lambda: None)

    async def getmany(self, **limits: int) -> dict[TopicPartition, list[Any]]:
        self.between()
        return await super().getmany(**limits)


def more_partitions(log: Log) -> None:
    if len(log.records) == 2:
        log.records.append([])
        log.begins.append(0)


def created_again(log: Log) -> None:
    if log.records[0]:
        log.recreate(2)


@pytest.mark.parametrize("change", [created_again, more_partitions])
async def test_a_topic_that_changes_while_it_is_read_ends_the_session(change) -> None:
    """The next session reads the events that the first one could not see."""
    log, got = ChangingLog(MAILBOX_EVENTS), []
    tail = EventTail(NOWHERE, AT_ONCE)
    log.append(0, "ann", encode(answered("ann", "old")))
    tail.subscribe("ann", lambda event: got.append(event.command_id))
    await tail._seek(log, log)
    log.polls, log.between = 20, lambda: (time.sleep(0.002), change(log))  # a check is due
    with pytest.raises(_TopicChanged):
        await tail._follow(log, log)
    log.append(len(log.records) - 1, "ann", encode(answered("ann", "new")))
    log.polls, log.between = 20, lambda: None
    await tail._seek(log, log)
    with pytest.raises(KafkaConnectionError):
        await tail._follow(log, log)
    assert got == ["new"]


async def test_a_broker_that_does_not_answer_a_check_ends_the_session() -> None:
    """Fetches may wait for long at a broker that is away; the check fails first."""

    class Silent(Log):
        async def send(self, _node: int, _request: object) -> Any:
            raise KafkaConnectionError("away")

    log = Log(MAILBOX_EVENTS, polls=5_000)
    tail = EventTail(NOWHERE, AT_ONCE)
    await tail._seek(log, log)
    with pytest.raises(KafkaConnectionError, match="away"):
        await tail._follow(Silent(MAILBOX_EVENTS), log)


async def test_other_tasks_run_between_the_batches_of_a_backlog() -> None:
    log, turns = Log(MAILBOX_EVENTS), 0
    tail = EventTail(NOWHERE, EventTailConfig(batch_records=1))
    await tail._seek(log, log)
    for number in range(50):
        log.append(0, "ann", encode(answered("ann", str(number))))

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    log.polls = 50
    with pytest.raises(KafkaConnectionError):
        await tail._follow(NOWHERE, log)  # no check is due, so the client is not asked
    task.cancel()
    assert turns >= 49
    assert tail._positions[0] == 50


@pytest.mark.parametrize(("cut", "left"), [(3, ["3", "4"]), (5, [])])
async def test_a_log_that_was_cut_off_behind_the_position_is_read_from_its_beginning(
    cut: int, left: list[str]
) -> None:
    log, got = Log(MAILBOX_EVENTS), []
    tail = EventTail(NOWHERE, AT_ONCE)
    await tail._seek(log, log)
    tail.subscribe("ann", lambda event: got.append(event.command_id))
    for number in range(5):
        log.append(1, "ann", encode(answered("ann", str(number))))
    log.trim(1, cut)
    log.polls = 20
    await tail._seek(log, log)
    with pytest.raises(KafkaConnectionError):
        await tail._follow(log, log)
    assert got == left


async def test_a_log_that_ends_before_the_position_is_read_from_its_beginning() -> None:
    """As after a broker lost its last records: it gives their offsets to other events."""
    log, got = Log(MAILBOX_EVENTS), []
    tail = EventTail(NOWHERE, AT_ONCE)
    for number in range(5):
        log.append(1, "ann", encode(answered("ann", str(number))))
    await tail._seek(log, log)
    tail.subscribe("ann", lambda event: got.append(event.command_id))
    del log.records[1][2:]
    log.append(1, "ann", encode(answered("ann", "other")))
    log.polls = 20
    await tail._seek(log, log)
    with pytest.raises(KafkaConnectionError):
        await tail._follow(log, log)
    assert got == ["0", "1", "other"]


async def test_a_topic_created_again_is_read_whole_though_it_has_the_old_position() -> None:
    log, got = Log(MAILBOX_EVENTS), []
    tail = EventTail(NOWHERE, AT_ONCE)
    for number in range(2):
        log.append(0, "ann", encode(answered("ann", f"old {number}")))
    await tail._seek(log, log)
    tail.subscribe("ann", lambda event: got.append(event.command_id))
    log.recreate(2)
    for number in range(4):
        log.append(0, "ann", encode(answered("ann", str(number))))
    log.polls = 20
    await tail._seek(log, log)
    with pytest.raises(KafkaConnectionError):
        await tail._follow(log, log)
    assert got == ["0", "1", "2", "3"]


async def test_a_record_without_a_key_or_with_a_key_that_is_no_text_ends_nothing() -> None:
    log, got = Log(MAILBOX_EVENTS), []
    tail = EventTail(NOWHERE, AT_ONCE)
    await tail._seek(log, log)
    tail.subscribe("ann", lambda event: got.append(event.command_id))
    for key in (None, b"\xff", b""):
        log.append(0, "", encode(answered("ann", "odd")))
        log.records[0][-1].key = key
    log.append(0, "ann", encode(answered("ann", "1")))
    log.polls = 20
    with pytest.raises(KafkaConnectionError):
        await tail._follow(log, log)
    assert got == ["1"]
