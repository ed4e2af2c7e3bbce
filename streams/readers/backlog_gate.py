"""Intake gate: new mail is refused while the disk is low or the backlog is too long."""

import asyncio
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from mail.errors import BrokerUnavailable
from mail.lifecycle import Periodic
from mail.ports import IntakeGate
from streams.log_client import GroupsTopics
from streams.readers.lag import LagMeter, mail_groups

GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """Limits beyond which new mail is refused."""

    folder: Path  # on the disk that holds the state
    backlog_max_mails: int = 1_000_000
    disk_min_bytes: int = GIB
    disk_min_share: float = 0.05
    refresh_interval_s: float = 5.0
    groups_topics: GroupsTopics = field(default_factory=mail_groups)


class DiskGate(IntakeGate):
    """The IntakeGate port over free disk space; at most refresh_interval_s old."""

    def __init__(self, config: GateConfig) -> None:
        self._config = config
        self._disk_reason: str | None = None
        self._disk_watch = Periodic(
            "gate: disk", self._check_disk, interval_s=config.refresh_interval_s
        )

    async def start(self) -> None:
        """Read the disk, and begin to read it in the background."""
        await self._check_disk()
        self._disk_watch.start()

    async def stop(self) -> None:
        await self._disk_watch.stop()

    def closed(self) -> str | None:
        """Return why the gate is closed, or None when it is open. Does not block."""
        return self._disk_reason

    async def _check_disk(self) -> None:
        self._disk_reason = await asyncio.to_thread(low_disk, self._config)


class BacklogGate(DiskGate):
    """The IntakeGate port over lag and free disk space.

    The backlog counts records on topics that hold a mail's only copy. After `route`, a mail with
    many local recipients counts once for each of them.
    Broker unreachable: only the disk can close the gate; a publish fails by its own time limit.
    The figures are at most refresh_interval_s old, plus the time of one reading.
    """

    def __init__(self, meter: LagMeter, config: GateConfig) -> None:
        super().__init__(config)
        self._meter = meter
        self._backlog_reason: str | None = None
        self._backlog_watch = Periodic(
            "gate: backlog", self._check_backlog, interval_s=config.refresh_interval_s
        )

    async def start(self) -> None:
        await super().start()
        self._backlog_watch.start()

    async def stop(self) -> None:
        await super().stop()
        await self._backlog_watch.stop()

    def closed(self) -> str | None:
        return self._disk_reason or self._backlog_reason

    async def _check_backlog(self) -> None:
        try:
            lags = await self._meter.read(self._config.groups_topics)
        except BrokerUnavailable:
            self._backlog_reason = None
            raise
        mails = sum(lag for topics in lags.values() for lag in topics.values())
        limit = self._config.backlog_max_mails
        reason = f"backlog: {mails} mails wait, the limit is {limit}"
        self._backlog_reason = reason if mails > limit else None


def least_free_bytes(config: GateConfig, size_bytes: int) -> int:
    """Return the free space below which a disk of `size_bytes` is low.

    The smaller of disk_min_bytes and disk_min_share of the disk: a disk of 10 TB is not low at
    500 GB free, nor a disk of 10 GB at 1 GiB free.
    """
    return min(config.disk_min_bytes, int(size_bytes * config.disk_min_share))


def low_disk(config: GateConfig) -> str | None:
    """Return why the disk of `config.folder` has no space for new mail, or None. A system call."""
    usage = shutil.disk_usage(config.folder)
    least = least_free_bytes(config, usage.total)
    if usage.free >= least:
        return None
    free_mib, least_mib = usage.free // 1024**2, least // 1024**2
    return f"low disk: {free_mib} MiB free at {config.folder}, {least_mib} MiB required"
