"""Consumer: Faust's, which skips no record and waits for no partition longer than it must."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any

import uvloop
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from mail.errors import Fatal
from streams.worker.assignment_lease import AssignmentLease, renewing

log = logging.getLogger(__name__)
METADATA_RETRY_S = 0.5


class RecordsSkipped(Fatal):
    """Records between two received records are missing. A later commit would count them as done."""

    def __init__(self, tp: TP, first: int, end: int) -> None:
        super().__init__(f"{tp.topic}/{tp.partition}: offsets {first} to {end - 1} did not come")


@dataclass(frozen=True, slots=True, eq=False)
class _StartedCoroutine:
    """The rest of a coroutine that was started, and now waits for a future."""

    coroutine: Coroutine[Any, Any, Any]
    waits_for: Any

    def __await__(self) -> Generator[Any, Any, Any]:
        waits_for = self.waits_for
        try:
            while True:
                try:
                    result = yield waits_for
                except BaseException as error:  # noqa: BLE001  (the coroutine is cancelled too)
                    waits_for = self.coroutine.throw(error)
                else:
                    waits_for = self.coroutine.send(result)
        except StopIteration as end:
            return end.value


def assigning_known_topics(coordinator: Any) -> Callable[[Any], Awaitable[Any]]:
    """Return `_perform_assignment` of aiokafka's `coordinator`, which waits for missing topics.

    A broker that has just started does not know its topics for a moment. A leader that asks it
    then leaves them out, and the group has no partitions until the metadata are read again, up to
    five minutes later (metadata_max_age_ms).
    """
    perform_assignment = coordinator._perform_assignment  # noqa: SLF001  (aiokafka has no hook)

    async def assign(response: Any) -> Any:
        while True:
            assignments = await perform_assignment(response)
            partitions = coordinator._metadata_snapshot  # noqa: SLF001  (number of them by topic)
            missing = sorted(topic for topic, number in partitions.items() if not number)
            if not missing or coordinator._closing.done():  # noqa: SLF001
                return assignments
            log.warning("the broker does not know %s; asking again", ", ".join(missing))
            await asyncio.sleep(METADATA_RETRY_S)
            await coordinator._client.force_metadata_update()  # noqa: SLF001

    return assign


class LeasedConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's thread that fetches and sends heartbeats; it renews a lease."""

    def __init__(self, consumer: Any, *, lease: AssignmentLease, **more: Any) -> None:
        self._lease = lease
        super().__init__(consumer, **more)

    async def on_start(self) -> None:
        """Change the coordinator, which has no topics yet, and so has not joined its group."""
        await super().on_start()
        coordinator = self._consumer._coordinator  # noqa: SLF001  (aiokafka has no hook)
        coordinator._send_req = renewing(self._lease, coordinator._send_req)  # noqa: SLF001
        coordinator._perform_assignment = assigning_known_topics(coordinator)  # noqa: SLF001


class RewindingConsumer(driver.Consumer):
    """Faust's consumer, which also seeks partitions without a commit: to their beginning.

    Around an assignment Faust drops the records that it has fetched and relies on this seek to read
    them again. Upstream seeks only partitions with a commit, so it lost the first commands of a new
    partition. Changelogs of tables never have a commit; only recovery moves their positions.
    """

    def __init__(self, *values: Any, lease: AssignmentLease, **more: Any) -> None:
        self._lease = lease
        super().__init__(*values, **more)

    async def seek_to_committed(self) -> Any:
        offsets = await super().seek_to_committed()
        has_acks = self.app.topics.acks_enabled_for
        uncommitted = [tp for tp, offset in offsets.items() if not offset and has_acks(tp.topic)]
        if uncommitted:
            await self._thread.seek_to_beginning(*uncommitted)
        return offsets

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        """Give the fetching thread a lease to renew, and a uvloop; upstream gives it asyncio's."""
        self.fetch_loop = uvloop.new_event_loop()
        return LeasedConsumerThread(
            self,
            lease=self._lease,
            loop=self.loop,
            beacon=self.beacon,
            thread_loop=self.fetch_loop,
        )

    async def wait_first(self, *coros: Any, timeout: Any = None) -> Any:  # noqa: ASYNC109
        """Deliver a record without creating tasks, unless its delivery has to wait.

        Upstream creates four tasks per record; few deliveries wait. This override starts the
        delivery itself, and calls upstream only if it waits. Otherwise it suspends once, so that
        other tasks run and records do not pile up before the windows.
        """
        if len(coros) != 2:  # the delivery of a record, and the wait for the flow to stop
            return await super().wait_first(*coros, timeout=timeout)
        delivery, flow_stop = coros
        try:
            waits_for = delivery.send(None)
        except StopIteration:
            flow_stop.close()
            return await asyncio.sleep(0)
        started = _StartedCoroutine(delivery, waits_for)
        return await super().wait_first(started, flow_stop, timeout=timeout)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Crash at a gap in the offsets.

        Upstream counts a gap as acknowledged, because compaction and transactions leave gaps. The
        work topics have neither, so a gap means records that were dropped on the way, and no commit
        may pass it. The worker ends, and the next worker begins at the committed offset.
        """
        await self.app.crash(RecordsSkipped(tp, offset_from, offset_to))

    async def verify_all_partitions_active(self) -> None:
        """Do nothing. Upstream logs here, and crashes while a position is not known yet.

        Worker.unhealthy detects partitions that do not advance (streams/worker/worker.py).
        """
