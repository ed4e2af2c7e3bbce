"""lag: how far the stages are behind, and whether new mail may still be taken.

Lag is counted in records: the log's end less what the reading group has committed. A group that
has committed nothing, or something that the log no longer holds, has everything before it.
"""

import logging
from collections.abc import Collection, Mapping

from aiokafka import TopicPartition

from mail.errors import BrokerUnavailable
from streams.config import Bootstrap
from streams.log_client import LogClient, Offsets
from streams.topology import BY_NAME, GROUP_PREFIX, STAGES

log = logging.getLogger(__name__)


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
