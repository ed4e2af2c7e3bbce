"""Gate of new mail: closed while the backlog or the free disk space is beyond its limit."""

import asyncio
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from mail.errors import BrokerUnavailable
from mail.lifecycle import Periodic
from streams.readers.lag import GroupsTopics, LagMeter, mail_groups

GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """When new mail is refused for now."""

    folder: Path  # on the disk that the state fills
    backlog_max_mails: int = 1_000_000
    disk_min_bytes: int = GIB
    disk_min_share: float = 0.05
    refresh_interval_s: float = 5.0
    groups_topics: GroupsTopics = field(default_factory=mail_groups)


class BacklogGate:
    """The Gate port: closed on low disk, or when too much mail waits already.

    Low disk is below disk_min_bytes or below disk_min_share of the disk, whichever is smaller:
    a disk of 10 TB is not refused at 500 GB free, nor one of 10 GB at 1 GiB.
    The backlog counts records on topics that hold a mail's only copy; a mail with many local
    recipients counts once for each of them behind `route`.
    A broker that does not answer leaves the gate as its disk says: the publish itself will time
    out. Figures are at most refresh_interval_s old, plus the time that a reading takes.
    """

    def __init__(self, meter: LagMeter, config: GateConfig) -> None:
        self._meter = meter
        self._config = config
        self._low_disk: str | None = None
        self._long_queue: str | None = None
        self._watches = (
            Periodic("gate: disk", self._look_at_disk, interval_s=config.refresh_interval_s),
            Periodic("gate: backlog", self._look_at_log, interval_s=config.refresh_interval_s),
        )

    async def start(self) -> None:
        """Knows the disk when it returns; the backlog a moment later."""
        await self._look_at_disk()
        for watch in self._watches:
            watch.start()

    async def stop(self) -> None:
        for watch in self._watches:
            await watch.stop()

    def closed(self) -> str | None:
        """None when open, else the reason. Never waits."""
        return self._low_disk or self._long_queue

    async def _look_at_disk(self) -> None:
        self._low_disk = await asyncio.to_thread(low_disk, self._config)

    async def _look_at_log(self) -> None:
        try:
            read = await self._meter.read(self._config.groups_topics)
        except BrokerUnavailable:
            self._long_queue = None
            raise
        mails = sum(lag for topics in read.values() for lag in topics.values())
        most = self._config.backlog_max_mails
        self._long_queue = f"backlog: {mails} mails wait, {most} may" if mails > most else None


def least_free_bytes(config: GateConfig, size_bytes: int) -> int:
    """What must be free on a disk of that size."""
    return min(config.disk_min_bytes, int(size_bytes * config.disk_min_share))


def low_disk(config: GateConfig) -> str | None:
    """Why the disk of `config.folder` is too full for more mail, or None. Blocks: a system call."""
    usage = shutil.disk_usage(config.folder)
    least = least_free_bytes(config, usage.total)
    if usage.free >= least:
        return None
    free_mib, least_mib = usage.free // 1024**2, least // 1024**2
    return f"low disk: {free_mib} MiB free at {config.folder}, at least {least_mib} MiB wanted"
