"""Topics: made before anything reads them, checked at every start, each with its epoch (epochs.py).

Kafka's defaults lose mail (a week's retention) and accept it unsafely (no flush to disk on the only
copy), so every setting of the table is made explicit, and checked against the broker's own words.
A setting whose repair cannot lose anything is repaired, with a line in the log; anything else that
differs stops the start.
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
from streams.topics.epochs import begun, epoch_of, is_of
from streams.topics.ids import topic_identity
from streams.topics.settings import ActualTopic, SettingDifference, differences, wanted
from streams.topology import TOPICS, Topic

_log = logging.getLogger(__name__)
_ALREADY_EXISTS = 36
_DYNAMIC = 1  # the source of a setting made for this topic alone
# One with another policy may have lost records already; one with more partitions has keys moved.
_FIXED = ("partitions", "cleanup.policy")
_POLL_S = 0.1


class WrongTopic(Fatal):
    """A topic is not what the table says, and making it so could lose mail."""

    def __init__(self, one: SettingDifference) -> None:
        super().__init__(f"topic {one.topic}: {one.setting} is {one.found}, wanted {one.wanted}")


async def ensure_topics(
    config: TopicsConfig, settings: Settings, *, topics: Sequence[Topic] = TOPICS
) -> dict[str, str]:
    """Create what is missing, check what is there; the epoch of each topic.

    BrokerUnavailable: no answer. WrongTopic: a topic differs and cannot be repaired safely.
    """
    await make_topics(config, topics=topics)
    return await begin_epochs(config, settings, topics=topics)


async def make_topics(config: TopicsConfig, *, topics: Sequence[Topic] = TOPICS) -> None:
    """The first half of `ensure_topics`: nobody reads or writes yet what is made here."""
    async with _asking(config) as cluster:
        await cluster.create(topics)
        await cluster.check(topics)


async def begin_epochs(
    config: TopicsConfig, settings: Settings, *, topics: Sequence[Topic] = TOPICS
) -> dict[str, str]:
    """The second half: from now on `wait_for_topics` lets everybody in."""
    async with _asking(config) as cluster:
        return {topic.name: await _epoch(cluster, settings, topic.name) for topic in topics}


async def topic_differences(
    config: TopicsConfig, *, topics: Sequence[Topic] = TOPICS
) -> list[SettingDifference]:
    """What is not as it should be, read only. BrokerUnavailable."""
    try:
        async with asyncio.timeout(config.request_limit_s), _Cluster(config) as cluster:
            found = await cluster.describe(topics)
    except (KafkaError, TimeoutError) as exc:
        raise BrokerUnavailable(f"{config.bootstrap}: {exc!r}") from exc
    return [one for topic in topics for one in differences(topic, config, found[topic.name])]


async def wait_for_topics(
    config: TopicsConfig, settings: Settings, *, topics: Sequence[Topic] = TOPICS
) -> dict[str, str]:
    """The epochs, once another process has ensured all topics; waits as long as that takes.

    For processes that start beside the one that calls `ensure_topics`.
    """
    while True:
        try:
            async with asyncio.timeout(config.request_limit_s), _Cluster(config) as cluster:
                found = {
                    topic.name: await _known_epoch(cluster, settings, topic.name)
                    for topic in topics
                }
        except (KafkaError, TimeoutError) as exc:
            _log.debug("waiting for the broker: %r", exc)
        else:
            epochs = {name: epoch for name, epoch in found.items() if epoch is not None}
            if len(epochs) == len(topics):
                return epochs
        await asyncio.sleep(_POLL_S)


async def ended_epochs(config: TopicsConfig, epochs: Mapping[str, str]) -> list[str]:
    """Those topics of `epochs` that have been made anew since, or are gone. BrokerUnavailable."""
    async with _asking(config) as cluster:
        found = {name: await cluster.identity(name) for name in epochs}
    return [
        name
        for name, identity in found.items()
        if identity is None or not is_of(epochs[name], identity[0])
    ]


async def _known_epoch(cluster: "_Cluster", settings: Settings, topic: str) -> str | None:
    epoch = await epoch_of(settings, topic)
    if epoch is None:
        return None
    identity = await cluster.identity(topic)
    return epoch if identity and is_of(epoch, identity[0]) else None


async def _epoch(cluster: "_Cluster", settings: Settings, topic: str) -> str:
    identity = await cluster.identity(topic)
    if identity is None:
        raise BrokerUnavailable(f"topic {topic} vanished while it was checked")
    return await begun(settings, topic, identity[0])


@asynccontextmanager
async def _asking(config: TopicsConfig) -> AsyncIterator["_Cluster"]:
    """A cluster for questions, within the limit of a request. BrokerUnavailable."""
    try:
        async with asyncio.timeout(config.request_limit_s), _Cluster(config) as cluster:
            yield cluster
    except (KafkaError, TimeoutError) as exc:
        raise BrokerUnavailable(f"{config.bootstrap}: {exc!r}") from exc


class _Cluster:
    """The broker's side of it, for the length of one check."""

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
        """Topic id and number of partitions; None when there is no such topic."""
        try:
            return await topic_identity(self._client, topic)
        except UnknownTopicOrPartitionError:
            return None

    async def create(self, topics: Sequence[Topic]) -> None:
        missing = [topic for topic in topics if await self.identity(topic.name) is None]
        if not missing:
            return
        config = self._config
        answer = await self._admin.create_topics(
            [
                NewTopic(
                    topic.name,
                    config.partitions,
                    config.replicas,
                    topic_configs=wanted(topic, config),
                )
                for topic in missing
            ]
        )
        for name, code, *detail in answer.topic_errors:
            if code not in (0, _ALREADY_EXISTS):
                raise for_code(code)(f"{name}: {detail}")
        for topic in missing:
            while await self.identity(topic.name) is None:  # noqa: ASYNC110  (asks the broker)
                await asyncio.sleep(_POLL_S)

    async def check(self, topics: Sequence[Topic]) -> None:
        found = await self.describe(topics)
        for topic in topics:
            for one in differences(topic, self._config, found[topic.name]):
                if one.setting in _FIXED:
                    raise WrongTopic(one)
        for topic in topics:
            await self._repair(topic, found[topic.name])

    async def describe(self, topics: Sequence[Topic]) -> dict[str, ActualTopic]:
        """What the broker has; no partitions and no settings for a topic that is not there."""
        resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics]
        settings: dict[str, dict[str, tuple[str, int]]] = {}
        for answer in await self._admin.describe_configs(resources):
            for _, _, _, name, entries in answer.resources:
                settings[name] = {entry[0]: (entry[1], entry[3]) for entry in entries}
        identities = {topic.name: await self.identity(topic.name) for topic in topics}
        return {
            name: ActualTopic(identity[1] if identity else 0, settings.get(name, {}))
            for name, identity in identities.items()
        }

    async def _repair(self, topic: Topic, found: ActualTopic) -> None:
        wrong = differences(topic, self._config, found)
        for one in wrong:
            _log.warning(
                "topic %s: %s is %s, repaired to %s", one.topic, one.setting, one.found, one.wanted
            )
        if wrong:
            own = {name: value for name, (value, by) in found.settings.items() if by == _DYNAMIC}
            want = {**own, **wanted(topic, self._config)}
            resource = ConfigResource(ConfigResourceType.TOPIC, topic.name, want)
            for answer in await self._admin.alter_configs([resource]):
                for code, message, *_ in answer.resources:
                    if code:
                        raise for_code(code)(f"{topic.name}: {message}")
