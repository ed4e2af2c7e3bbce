"""Request to park one event, whether its worker runs or crashes (`postriver dead-letters park`).

Checked first: a stage reads the topic, the event exists, and the stage has not consumed the event.
"""

import asyncio
from pathlib import Path

from aiokafka import TopicPartition

from mail.errors import Refused
from mail.ports import Settings
from streams.config import Bootstrap
from streams.dead_letters import set_aside
from streams.dead_letters.set_aside import RecordPosition, stage_of
from streams.log_client import LogClient
from streams.topics.epochs import epoch_of
from streams.topology import GROUP_PREFIX

_POLL_S = 0.5


async def request(
    bootstrap: Bootstrap,
    settings: Settings,
    folder: Path,
    position: RecordPosition,
    *,
    wait_s: float = 10.0,
    group_prefix: str = GROUP_PREFIX,
    dry_run: bool = False,
) -> bool:
    """Request to park the event; return whether it was parked within `wait_s`.

    `dry_run`: check that the request is possible, and return False.
    If not, the worker parks the event as soon as it reads the event.
    Raises Refused: no stage reads the topic, the event does not exist, or it is consumed already.
    Raises BrokerUnavailable.
    """
    group = group_prefix + stage_of(position).role
    epoch = await epoch_of(settings, position.topic)
    if epoch is None:
        raise Refused(f"{position.topic} was never created here: start Postriver once")
    async with LogClient(bootstrap) as log:
        await _check_unconsumed(log, position, group)
        if dry_run:
            return False
        set_aside.make_request(folder, position, epoch)
        part = TopicPartition(position.topic, position.partition)
        loop = asyncio.get_running_loop()
        until_s = loop.time() + wait_s
        while loop.time() < until_s:
            if (await log.committed(group)).get(part, 0) > position.offset:
                return True
            await asyncio.sleep(_POLL_S)
    return False


async def _check_unconsumed(log: LogClient, position: RecordPosition, group: str) -> None:
    """Raise Refused unless the event exists and `group` has still to consume it."""
    unconsumed = (await log.unconsumed({group: [position.topic]}))[group]
    part = TopicPartition(position.topic, position.partition)
    if part not in unconsumed:
        count = len(unconsumed)
        raise Refused(f"{position.topic} has {count} partitions, the first is 0: no {position}")
    first, end = unconsumed[part]
    if position.offset >= end:
        raise Refused(f"{position} is not written yet: the partition ends before {end}")
    if position.offset < first:
        raise Refused(f"{position} is handled already: its reader goes on at {first}")
