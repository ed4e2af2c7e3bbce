"""Canaries: one test for each upstream bug that streams/ works around.

A failing test means that upstream is fixed: its message names the work-around to remove.
"""

import asyncio
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import faust
import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.subscription_state import SubscriptionState
from faust.tables.recovery import Recovery, ServiceStopped
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from intervaltree import IntervalTree

from streams.config import Bootstrap, StreamsConfig
from streams.worker.assignment_lease import AssignmentLease
from streams.worker.worker import credentials, make_app

FIRST, OTHER = TP("notes", 0), TP("notes", 1)


def consumer(*, committed: int, acked: list[int]) -> SimpleNamespace:
    """The attributes of Faust's consumer that the methods under test read."""
    return SimpleNamespace(
        _acked=defaultdict(list, {FIRST: acked}),
        _acked_index=defaultdict(set),
        _gap=defaultdict(IntervalTree),
        _committed_offset=defaultdict(lambda: None, {FIRST: committed}),
        _active_partitions={FIRST, OTHER},
        _buffered_partitions=set(),
        _paused_partitions=set(),
        app=SimpleNamespace(
            in_recovery=False,
            consumer_generation_id=1,
            monitor=SimpleNamespace(track_tp_end_offset=lambda *_: None),
        ),
    )


def test_a_commit_passes_an_event_that_is_still_running() -> None:
    running = 5
    stub = consumer(committed=running, acked=[6, 7, 8])
    assert Consumer._new_offset(stub, FIRST) == 9, (
        "Faust no longer commits past a running event: acks need not be in arrival order any more "
        "(streams/worker/in_flight_window.py)"
    )


async def test_a_gap_in_the_log_counts_as_acknowledged() -> None:
    stub = consumer(committed=0, acked=[0, 9])
    await Consumer._add_gap(stub, FIRST, 1, 8)
    assert Consumer._new_offset(stub, FIRST) == 10, (
        "Faust no longer commits past offsets that it never delivered (streams/worker/consumer.py)"
    )


async def test_a_partition_paused_in_mid_batch_loses_its_rest() -> None:
    stub = consumer(committed=0, acked=[])
    stub._get_active_partitions = lambda: stub._active_partitions
    stub.should_stop, stub.flow_active = False, True
    stub.scheduler = SimpleNamespace(
        iterate=lambda records: ((tp, n) for tp, batch in records.items() for n in batch)
    )
    stub.highwater = lambda _: 9
    stub._to_message = lambda _, record: record

    async def fetched(_: float):
        return {FIRST: [1, 2, 3], OTHER: [4]}, stub._active_partitions

    stub._wait_next_records = fetched
    given = []
    async for _, record in Consumer.getmany(stub, timeout=1.0):
        given.append(record)
        if record == 1:
            Consumer.pause_partitions(stub, {FIRST})
    assert given == [1, 4], (
        "pause_partitions no longer drops what was fetched: harness._limit_buffer may use it"
    )


async def test_a_record_is_delivered_by_tasks_of_its_own() -> None:
    """`wait_first` is called with two coroutines: the delivery of a record, and the flow's stop."""
    stub = consumer(committed=0, acked=[])
    delivered: list[tuple[str, ...]] = []
    stub._stopped, stub.suspend_flow = asyncio.Event(), asyncio.Event()
    stub.should_stop, stub._commit_every, stub.sleep = False, None, asyncio.sleep
    stub.consumer_stopped_errors, stub._read_offset = (), defaultdict(lambda: None)
    stub.diag = SimpleNamespace(set_flag=str, unset_flag=str)
    stub.app.topics = SimpleNamespace(acks_enabled_for=bool)

    async def callback(_: object) -> None: ...

    async def getmany(timeout: float):
        yield FIRST, SimpleNamespace(offset=1)

    async def wait_first(*coroutines) -> None:
        delivered.append(tuple(each.__qualname__.rpartition(".")[2] for each in coroutines))
        stub._stopped.set()
        for each in coroutines:
            each.close()

    stub.callback, stub.getmany, stub.wait_first = callback, getmany, wait_first
    await Consumer._drain_messages(stub, stub)
    assert delivered == [("callback", "wait")], (
        "Faust delivers records in another way: see RewindingConsumer.wait_first "
        "(streams/worker/consumer.py)"
    )


async def test_a_request_without_an_answer_ends_recovery_as_a_stop_does(tmp_path: Path) -> None:
    config = StreamsConfig(bootstrap=Bootstrap("127.0.0.1:1"), worker="w", data_folder=tmp_path)
    app = make_app("canary", config, AssignmentLease(1))
    with pytest.raises(ServiceStopped):  # else see streams/worker/recovery.py
        await Recovery(app, app.tables)._wait(asyncio.Event().wait(), timeout=0.01)


def test_a_records_partition_is_not_of_fausts_own_kind() -> None:
    record = SimpleNamespace(
        topic="notes", partition=0, offset=1, timestamp=1, timestamp_type=0, headers=(), key=b"",
        value=b"", checksum=None, serialized_key_size=0, serialized_value_size=0,
    )  # fmt: skip
    stub = consumer(committed=0, acked=[])
    message = Consumer._to_message(stub, TopicPartition("notes", 0), record)
    Consumer.on_buffer_full.__get__(
        SimpleNamespace(**vars(stub), _get_active_partitions=lambda: stub._active_partitions)
    )(message.tp)
    assert not isinstance(message.tp, TP), (
        "Faust's messages carry its own TP now: harness._take need not make one"
    )


async def test_async_for_acknowledges_though_the_body_raised() -> None:
    app = faust.App("canary", broker="kafka://127.0.0.1:1", autodiscover=False)
    app.finalize()
    app.flow_control.resume()
    app.consumer_generation_id = 1
    topic = app.topic("notes", key_type=bytes, value_type=bytes, value_serializer="raw")
    app.topics._acking_topics.add("notes")
    stream = app.stream(topic)
    message = ConsumerMessage(
        "notes", 0, 1, 0.0, 0, (), b"k", b"v", None, tp=FIRST, generation_id=1
    )
    message.incref()
    stream.channel.queue.put_nowait(await stream.channel.decode(message))

    async def body() -> None:
        async for _ in stream:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await body()
    for _ in range(20):
        await asyncio.sleep(0)  # the abandoned generator is closed by the loop
    assert message.acked, "async-for acks no more when its body raised (harness._consume)"
    await stream.stop()
    app.consumer._thread.thread_loop.close()  # made for a thread that never began


@pytest.mark.kafka
async def test_an_awaited_send_is_not_an_acknowledged_one(broker, make_workers) -> None:
    workers = await make_workers()
    app = faust.App(
        "canary", broker=f"kafka://{broker.bootstrap}", autodiscover=False, web_enabled=False,
        producer_linger=0.2, broker_credentials=credentials(broker.bootstrap),
    )  # fmt: skip
    await app.producer.start()
    try:
        topic = app.topic(workers.topology.notes.name, value_type=bytes, value_serializer="raw")
        sent = await topic.send(value=b"v")
        assert not sent.done(), "topic.send waits for the broker now (streams/publisher.py)"
        await sent
    finally:
        await app.producer.stop()


async def test_fausts_own_health_check_ends_a_worker_without_a_position() -> None:
    """For a partition that was just assigned; otherwise the harness could keep the check."""
    assigned = SubscriptionState()
    assigned.assign_from_user([FIRST])
    consumer = SimpleNamespace(_fetcher=SimpleNamespace(_subscriptions=assigned))
    thread = SimpleNamespace(
        _verify_aiokafka_event_path=lambda *_: False,
        _ensure_consumer=lambda: consumer,
        consumer=SimpleNamespace(
            app=SimpleNamespace(
                monitor=SimpleNamespace(), topics=SimpleNamespace(acks_enabled_for=lambda _: True)
            )
        ),
        time_started=0.0,
    )
    with pytest.raises(AssertionError):
        AIOKafkaConsumerThread.verify_event_path(thread, 1.0, FIRST)
