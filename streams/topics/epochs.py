"""Epochs of topics: which of several topics of one name a position is of.

An epoch is `counter:topic id`, kept in the installation's settings under `epoch:NAME`. The id is
the broker's own and new for every creation, so a topic made anew, restored into another cluster or
lost with its broker has another epoch, and positions of the old one mean nothing there. The counter
is 1, and later the time in seconds: it grows even when the same backup is restored twice.
"""

import logging

from mail.clock import now_ms
from mail.ports import Settings

_log = logging.getLogger(__name__)


async def epoch_of(settings: Settings, topic: str) -> str | None:
    """The topic's epoch as last ensured; None before the first time."""
    return await settings.setting(f"epoch:{topic}")


async def begun(settings: Settings, topic: str, topic_id: str) -> str:
    """The epoch of the topic with this id: the known one, else the next."""
    known = await epoch_of(settings, topic)
    if known is not None and is_of(known, topic_id):
        return known
    counter = max(counter_of(known) + 1, now_ms() // 1000) if known else 1
    epoch = f"{counter}:{topic_id}"
    await settings.set_setting(f"epoch:{topic}", epoch)
    _log.info("topic %s begins epoch %s", topic, epoch)
    return epoch


def is_of(epoch: str, topic_id: str) -> bool:
    return epoch.endswith(f":{topic_id}")


def counter_of(epoch: str) -> int:
    """A number for those who cannot hold the topic's id: 1, or higher than all before."""
    return int(epoch.partition(":")[0])
