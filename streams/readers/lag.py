"""Consumer lag of the stages' groups, in records that a group has not committed.

LogClient.unconsumed says which records those are.
"""

from mail.errors import BrokerUnavailable
from streams.config import Bootstrap
from streams.log_client import GroupsTopics, LogClient, Offsets
from streams.topology import BY_NAME, GROUP_PREFIX, STAGES

Lags = dict[str, dict[str, int]]  # group: topic: records


def all_groups(prefix: str = GROUP_PREFIX) -> dict[str, list[str]]:
    """Return every consumer group of the stages, with the topics that it reads."""
    groups: dict[str, list[str]] = {}
    for stage in STAGES:
        groups.setdefault(prefix + stage.role, []).append(stage.reads)
    return groups


def mail_groups(prefix: str = GROUP_PREFIX) -> dict[str, list[str]]:
    """Return the groups of stages, with those of their topics that hold a mail's only copy."""
    groups_topics = {
        group: [topic for topic in topics if BY_NAME[topic].only_copy]
        for group, topics in all_groups(prefix).items()
    }
    return {group: topics for group, topics in groups_topics.items() if topics}


class LagMeter:
    """Reads lags through connections that stay open; after an outage it opens new connections."""

    def __init__(self, bootstrap: Bootstrap, *, timeout_s: float = 5.0) -> None:
        self._bootstrap = bootstrap
        self._timeout_s = timeout_s
        self._client: LogClient | None = None

    async def start(self) -> None:
        """Allow reads. The first read connects, so the broker may start later."""
        self._client = LogClient(self._bootstrap, timeout_s=self._timeout_s)

    async def stop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.stop()

    async def read(self, groups_topics: GroupsTopics) -> Lags:
        """Return the lag by group and topic; a topic that does not exist has 0.

        Raises BrokerUnavailable.
        """
        lags = await self.read_partitions(groups_topics)
        return {
            group: {
                topic: sum(lag for part, lag in lags[group].items() if part.topic == topic)
                for topic in topics
            }
            for group, topics in groups_topics.items()
        }

    async def read_partitions(self, groups_topics: GroupsTopics) -> dict[str, Offsets]:
        """Return the lag by group and partition, of the partitions that exist.

        Raises BrokerUnavailable.
        """
        spans = await self._started().unconsumed(groups_topics)
        return {
            group: {part: end - first for part, (first, end) in of_group.items()}
            for group, of_group in spans.items()
        }

    async def position(self, group: str, topic: str) -> int:
        """Return how many records of `topic` `group` has committed since the topic was created.

        Raises BrokerUnavailable.
        """
        committed = await self._started().committed(group)
        return sum(offset for part, offset in committed.items() if part.topic == topic)

    def _started(self) -> LogClient:
        if self._client is None:
            raise BrokerUnavailable("the lag meter is not started")
        return self._client


async def lags(
    bootstrap: Bootstrap, groups_topics: GroupsTopics, *, timeout_s: float = 5.0
) -> Lags:
    """Return one reading of a LagMeter. Raises BrokerUnavailable."""
    meter = LagMeter(bootstrap, timeout_s=timeout_s)
    await meter.start()
    try:
        return await meter.read(groups_topics)
    finally:
        await meter.stop()
