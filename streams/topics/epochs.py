"""Epochs of topics: the identity of a topic, where a name and an offset are not enough.

An epoch is `counter:topic id`, stored in the settings of the installation under `epoch:NAME`. The
broker gives every created topic a new id. So a topic that was deleted and created again, restored
into another cluster, or lost with its broker has another epoch, and positions of the old epoch mean
nothing in it. The counter begins with 1. A later counter is the time in seconds, or one more than
the counter before if that is higher. So it grows even if the same backup is restored twice.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable

from mail.clock import now_ms
from mail.ports import Settings

_log = logging.getLogger(__name__)


async def epoch_of(settings: Settings, topic: str) -> str | None:
    """Return the epoch that was last stored for `topic`, or None before the first."""
    return await settings.setting(f"epoch:{topic}")


async def ensure_epoch(
    settings: Settings, topic: str, topic_id: Callable[[], Awaitable[str]]
) -> str:
    """Return the epoch of the topic: the stored epoch, or a new epoch, stored now.

    `topic_id` asks the broker for the id. It is asked after each read of the epoch, so that the id
    is not older than the epoch; and a new epoch replaces only the epoch that was read. So an epoch
    that another process has begun is never lost, and a topic begins one epoch.
    """
    while True:
        known = await epoch_of(settings, topic)
        id_ = await topic_id()
        if known is not None and is_of(known, id_):
            return known
        counter = max(counter_of(known) + 1, now_ms() // 1000) if known else 1
        epoch = f"{counter}:{id_}"
        if await settings.exchange_setting(f"epoch:{topic}", known, epoch):
            _log.info("topic %s begins epoch %s", topic, epoch)
            return epoch


async def end_epochs(settings: Settings, topics: Iterable[str]) -> None:
    """End the epochs of `topics`: the next epoch of each is new, also if its id is the same."""
    for topic in topics:
        known = await epoch_of(settings, topic)
        if known is not None:
            await settings.set_setting(f"epoch:{topic}", f"{counter_of(known)}:")


def is_of(epoch: str, topic_id: str) -> bool:
    """Return whether `epoch` belongs to the topic with this id."""
    return epoch.endswith(f":{topic_id}")


def counter_of(epoch: str) -> int:
    """Return the counter: 1, or higher than all before. For clients that store no topic id."""
    return int(epoch.partition(":")[0])
