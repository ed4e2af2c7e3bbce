"""Topics on the broker: created before any process reads them, and checked at every start.

Kafka's defaults lose mail (retention of a week) and acknowledge it unsafely (no flush of the only
copy to disk). So every setting of the table is set explicitly, and compared with the settings that
the broker reports. A difference whose repair cannot lose mail is repaired and logged; any other
difference stops the start. Each topic gets an epoch (streams/topics/epochs.py).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError, for_code

from mail.errors import BrokerUnavailable, Fatal
from mail.ports import Settings
from streams.config import TopicsConfig
from streams.topics.epochs import ensure_epoch, epoch_of, is_of
from streams.topics.ids import topic_identity, topic_sizes
from streams.topics.settings import (
    REPLICATION,
    ActualTopic,
    SettingDifference,
    differences,
    required_settings,
)
from streams.topology import TOPICS, Topic

_log = logging.getLogger(__name__)
_ALREADY_EXISTS = 36
_DYNAMIC = 1  # the source of a setting that was set for this topic alone
# Not repaired: under another policy records may be lost already; with more partitions, keys moved.
# A replica is added by the cluster's own tools.
_FIXED = ("partitions", "cleanup.policy", REPLICATION)
_POLL_S = 0.1


class WrongTopic(Fatal):
    """A topic differs from the table, and a repair could lose mail."""

    def __init__(self, difference: SettingDifference) -> None:
        super().__init__(f"topic {difference}")


async def ensure_topics(
    config: TopicsConfig, settings: Settings, *, topics: Sequence[Topic] = TOPICS
) -> dict[str, str]:
    """Create missing topics, check existing topics, and return the epoch of each.

    Raises BrokerUnavailable. Raises WrongTopic: a topic differs and cannot be repaired safely.
    """
    await make_topics(config, topics=topics)
    return await begin_epochs(config, settings, topics=topics)


async def make_topics(config: TopicsConfig, *, topics: Sequence[Topic] = TOPICS) -> list[str]:
    """Do the first half of `ensure_topics`; return what this process did, a line each.

    No process reads or writes the new topics yet.
    """
    async with _request(config) as cluster:
        made = await cluster.create(topics)
        return [*map(_made, made), *map(str, await cluster.check(topics))]


async def planned_topics(config: TopicsConfig, *, topics: Sequence[Topic] = TOPICS) -> list[str]:
    """Return what `make_topics` would do; change nothing. Raises as it does."""
    async with _request(config) as cluster:
        actual = await cluster.describe(topics)
    missing = [topic.name for topic in topics if not actual[topic.name].partitions]
    there = [topic for topic in topics if topic.name not in missing]
    return [*map(_made, missing), *map(str, _repairable(there, config, actual))]


async def begin_epochs(
    config: TopicsConfig, settings: Settings, *, topics: Sequence[Topic] = TOPICS
) -> dict[str, str]:
    """Do the second half of `ensure_topics`. From now on `wait_for_topics` returns."""
    async with _request(config) as cluster:
        return {topic.name: await _epoch(cluster, settings, topic.name) for topic in topics}


async def topic_differences(
    config: TopicsConfig, *, topics: Sequence[Topic] = TOPICS
) -> list[SettingDifference]:
    """Return every difference from the table; changes nothing. Raises BrokerUnavailable."""
    async with _request(config) as cluster:
        actual = await cluster.describe(topics)
    return [
        difference
        for topic in topics
        for difference in differences(topic, config, actual[topic.name])
    ]


async def wait_for_topics(
    config: TopicsConfig, settings: Settings, *, topics: Sequence[Topic] = TOPICS
) -> dict[str, str]:
    """Return the epochs, once another process has ensured all topics. No time limit.

    For the processes that start together with the process that ensures the topics.
    """
    while True:
        try:
            async with asyncio.timeout(config.request_limit_s), _Cluster(config) as cluster:
                known = {
                    topic.name: await _known_epoch(cluster, settings, topic.name)
                    for topic in topics
                }
        except (KafkaError, TimeoutError) as exc:
            _log.debug("waiting for the broker: %r", exc)
        else:
            epochs = {name: epoch for name, epoch in known.items() if epoch is not None}
            if len(epochs) == len(topics):
                return epochs
        await asyncio.sleep(_POLL_S)


async def ended_epochs(config: TopicsConfig, epochs: Mapping[str, str]) -> list[str]:
    """Return the topics of `epochs` that were deleted or created again.

    Raises BrokerUnavailable.
    """
    async with _request(config) as cluster:
        identities = {name: await cluster.identity(name) for name in epochs}
    return [
        name
        for name, identity in identities.items()
        if identity is None or not is_of(epochs[name], identity[0])
    ]


async def _known_epoch(cluster: "_Cluster", settings: Settings, topic: str) -> str | None:
    epoch = await epoch_of(settings, topic)
    if epoch is None:
        return None
    identity = await cluster.identity(topic)
    return epoch if identity and is_of(epoch, identity[0]) else None


async def _epoch(cluster: "_Cluster", settings: Settings, topic: str) -> str:
    async def topic_id() -> str:
        identity = await cluster.identity(topic)
        if identity is None:
            raise BrokerUnavailable(f"topic {topic} disappeared while it was checked")
        return str(identity[0])

    return await ensure_epoch(settings, topic, topic_id)


@asynccontextmanager
async def _request(config: TopicsConfig) -> AsyncIterator["_Cluster"]:
    """Open the cluster for one request, within its time limit. Raises BrokerUnavailable."""
    try:
        async with asyncio.timeout(config.request_limit_s), _Cluster(config) as cluster:
            yield cluster
    except (KafkaError, TimeoutError) as exc:
        raise BrokerUnavailable(f"{config.bootstrap}: {exc!r}") from exc


def _made(topic: str) -> str:
    return f"topic {topic}"


def _repairable(
    topics: Sequence[Topic], config: TopicsConfig, actual: Mapping[str, ActualTopic]
) -> list[SettingDifference]:
    """Return the differences of `topics`. Raises WrongTopic: one of them cannot be repaired."""
    found = [each for topic in topics for each in differences(topic, config, actual[topic.name])]
    for difference in found:
        if difference.setting in _FIXED:
            raise WrongTopic(difference)
    return found


class _Cluster:
    """Connections to the broker, for the duration of one request."""

    def __init__(self, config: TopicsConfig) -> None:
        self._config = config
        self._admin = AIOKafkaAdminClient(**config.bootstrap.options)
        self._client = AIOKafkaClient(**config.bootstrap.options)

    async def __aenter__(self) -> Self:
        try:
            await self._client.bootstrap()
            await self._admin.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._admin.close()
        await self._client.close()

    async def identity(self, topic: str) -> tuple[Any, int] | None:
        """Return topic id and number of partitions, or None if the topic does not exist."""
        try:
            return await topic_identity(self._client, topic)
        except UnknownTopicOrPartitionError:
            return None

    async def create(self, topics: Sequence[Topic]) -> list[str]:
        """Create those of `topics` that do not exist; return once the broker knows them.

        Returns the names of those that this request created.
        """
        missing = [topic for topic in topics if await self.identity(topic.name) is None]
        if not missing:
            return []
        config = self._config
        answer = await self._admin.create_topics(
            [
                NewTopic(
                    topic.name,
                    config.partitions,
                    config.replicas,
                    topic_configs=required_settings(topic, config),
                )
                for topic in missing
            ]
        )
        for name, code, *detail in answer.topic_errors:
            if code not in (0, _ALREADY_EXISTS):
                raise for_code(code)(f"{name}: {detail}")
        for topic in missing:
            while await self.identity(topic.name) is None:  # noqa: ASYNC110  (the broker has no event)
                await asyncio.sleep(_POLL_S)
        return [name for name, code, *_ in answer.topic_errors if code == 0]

    async def check(self, topics: Sequence[Topic]) -> list[SettingDifference]:
        """Repair and return differences of `topics`. Raises WrongTopic before the first repair."""
        actual = await self.describe(topics)
        repaired = _repairable(topics, self._config, actual)
        for topic in topics:
            await self._repair(topic, actual[topic.name])
        return repaired

    async def describe(self, topics: Sequence[Topic]) -> dict[str, ActualTopic]:
        """Return each topic as the broker has it: 0 partitions if it does not exist."""
        resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics]
        settings: dict[str, dict[str, tuple[str, int]]] = {}
        for answer in await self._admin.describe_configs(resources):
            for _, _, _, name, entries in answer.resources:
                settings[name] = {entry[0]: (entry[1], entry[3]) for entry in entries}
        sizes = {topic.name: await self._sizes(topic.name) for topic in topics}
        return {name: ActualTopic(*size, settings.get(name, {})) for name, size in sizes.items()}

    async def _sizes(self, topic: str) -> tuple[int, int]:
        try:
            return await topic_sizes(self._client, topic)
        except UnknownTopicOrPartitionError:
            return 0, 0

    async def _repair(self, topic: Topic, actual: ActualTopic) -> None:
        wrong = differences(topic, self._config, actual)
        for difference in wrong:
            _log.warning("topic %s: repaired", difference)
        if wrong:
            own = {name: value for name, (value, by) in actual.settings.items() if by == _DYNAMIC}
            settings = {**own, **required_settings(topic, self._config)}
            resource = ConfigResource(ConfigResourceType.TOPIC, topic.name, settings)
            for answer in await self._admin.alter_configs([resource]):
                for code, message, *_ in answer.resources:
                    if code:
                        raise for_code(code)(f"{topic.name}: {message}")
