"""dead-letters park: ask for one event to be set aside, whether its worker runs or crashes.

Checked first: the topic has a reader, the event is there, and its reader is not past it.
"""

import asyncio
from pathlib import Path

from aiokafka import TopicPartition

from mail.errors import Refused
from mail.ports import Settings
from streams.config import Bootstrap
from streams.dead_letters import set_aside
from streams.dead_letters.set_aside import RecordPosition, reader_of
from streams.log_client import LogClient
from streams.topics.epochs import epoch_of
from streams.topology import GROUP_PREFIX

_POLL_S = 0.5


async def request(
    bootstrap: Bootstrap,
    settings: Settings,
    folder: Path,
    place: RecordPosition,
    *,
    wait_s: float = 10.0,
    group_prefix: str = GROUP_PREFIX,
) -> bool:
    """Whether the event was set aside within `wait_s`; else it will be when its worker gets to it.

    Refused: no stage reads it, it is not there, or it is handled already. BrokerUnavailable.
    """
    group = group_prefix + reader_of(place).role
    epoch = await epoch_of(settings, place.topic)
    if epoch is None:
        raise Refused(f"{place.topic} was never made here: start Postriver once")
    async with LogClient(bootstrap) as log:
        await _check(log, place, group)
        set_aside.ask(folder, place, epoch)
        loop = asyncio.get_running_loop()
        until_s = loop.time() + wait_s
        while loop.time() < until_s:
            if await _committed(log, place, group) > place.offset:
                return True
            await asyncio.sleep(_POLL_S)
    return False


async def _check(log: LogClient, place: RecordPosition, group: str) -> None:
    part = TopicPartition(place.topic, place.partition)
    parts = await log.partitions([place.topic])
    if part not in parts:
        raise Refused(f"{place.topic} has {len(parts)} partitions, the first is 0: no {place}")
    end = (await log.ends([part]))[part]
    if place.offset >= end:
        raise Refused(f"{place} is not written yet: the partition ends before {end}")
    begin = (await log.begins([part]))[part]
    committed = max(begin, await _committed(log, place, group))
    if place.offset < committed:
        raise Refused(f"{place} is handled already: its reader goes on at {committed}")


async def _committed(log: LogClient, place: RecordPosition, group: str) -> int:
    return (await log.committed(group)).get(TopicPartition(place.topic, place.partition), 0)
