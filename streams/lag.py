"""lag: how far the stages are behind, and whether new mail may still be taken.

Lag is counted in records: the log's end less what the reading group has committed. A group that
has committed nothing, or something that the log no longer holds, has everything before it.
"""

import asyncio
import logging
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka import TopicPartition

from mail.errors import BrokerUnavailable
from streams.config import Bootstrap
from streams.log_client import LogClient, Offsets
from streams.periodic import Periodic
from streams.topology import BY_NAME, GROUP_PREFIX, STAGES

log = logging.getLogger(__name__)

GIB = 1024**3

GroupsTopics = Mapping[str, Collection[str]]
Lags = dict[str, dict[str, int]]


def all_groups(prefix: str = GROUP_PREFIX) -> dict[str, list[str]]:
    """Every consumer group of the topology and the topics it reads."""
    groups: dict[str, list[str]] = {}
    for stage in STAGES:
        groups.setdefault(prefix + stage.role, []).append(stage.reads)
    return groups


def mail_groups(prefix: str = GROUP_PREFIX) -> dict[str, list[str]]:
    """The groups that a mail waits for, with the topics on which its only copy waits."""
    waiting = {
        group: [topic for topic in topics if BY_NAME[topic].only_copy]
        for group, topics in all_groups(prefix).items()
    }
    return {group: topics for group, topics in waiting.items() if topics}


class LagMeter:
    """Reads lags through connections that stay open; made anew after an outage."""

    def __init__(self, bootstrap: Bootstrap, *, timeout_s: float = 5.0) -> None:
        self._bootstrap = bootstrap
        self._timeout_s = timeout_s
        self._client: LogClient | None = None

    async def start(self) -> None:
        """Connects at the first read, so the broker need not be there yet."""
        self._client = LogClient(self._bootstrap, timeout_s=self._timeout_s)

    async def stop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.stop()

    async def read(self, groups_topics: GroupsTopics) -> Lags:
        """{group: {topic: records}}; a topic that is not there yet has 0. BrokerUnavailable."""
        read = await self.read_parts(groups_topics)
        return {
            group: {
                topic: sum(lag for part, lag in read[group].items() if part.topic == topic)
                for topic in topics
            }
            for group, topics in groups_topics.items()
        }

    async def read_parts(self, groups_topics: GroupsTopics) -> dict[str, dict[TopicPartition, int]]:
        """{group: {partition: records}}, for the partitions that exist. BrokerUnavailable."""
        if self._client is None:
            raise BrokerUnavailable("the lag meter is not started")
        parts = await self._client.partitions(
            {topic for topics in groups_topics.values() for topic in topics}
        )
        # Commits first: what is finished in between makes a lag too large, never too small.
        committed = {group: await self._client.committed(group) for group in groups_topics}
        begins, ends = await self._client.begins(parts), await self._client.ends(parts)
        return {
            group: {
                part: _behind(part, committed[group], begins, ends)
                for part in parts
                if part.topic in topics
            }
            for group, topics in groups_topics.items()
        }

    async def position(self, group: str, topic: str) -> int:
        """Records of `topic` that `group` has committed, since the topic was made. As `read`."""
        if self._client is None:
            raise BrokerUnavailable("the lag meter is not started")
        committed = await self._client.committed(group)
        return sum(offset for part, offset in committed.items() if part.topic == topic)


def _behind(part: TopicPartition, committed: Offsets, begins: Offsets, ends: Offsets) -> int:
    at = committed.get(part, -1)
    if not begins[part] <= at <= ends[part]:
        at = begins[part]
    return max(0, ends[part] - at)


async def lags(
    bootstrap: Bootstrap, groups_topics: GroupsTopics, *, timeout_s: float = 5.0
) -> Lags:
    """One reading of LagMeter. BrokerUnavailable."""
    meter = LagMeter(bootstrap, timeout_s=timeout_s)
    await meter.start()
    try:
        return await meter.read(groups_topics)
    finally:
        await meter.stop()


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
