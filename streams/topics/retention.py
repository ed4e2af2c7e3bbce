"""Retention: delete the records that every consumer group has committed (DeleteRecords).

Work topics do not expire by time or size, because a mail that waits for an engine must not. Each
role deletes, from the topics that its stages read, the records that its group has committed, less a
margin. Where other roles read the topic too (its watchers), every group must have committed them.
The margin serves readers without a group: the event tails of the edge, and searches of operators.
The smallest of its limits by number, size and age applies. While the disk is low it is zero.
A group without a commit: nothing is deleted. Broker unreachable: tried again at the next interval.
Safe to repeat, and safe from many workers at once.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from aiokafka import TopicPartition

from mail.lifecycle import Periodic
from schemas.content import CONTENT_INLINE_MAX_BYTES
from streams.config import Bootstrap
from streams.log_client import LogClient, Offsets
from streams.topology import BY_NAME, DEAD_LETTERS, GROUP_PREFIX, Topic, stages_of

log = logging.getLogger(__name__)

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimConfig:
    """How often records are deleted, and how many committed records are kept."""

    margin_records: int = 10_000  # per partition
    margin_bytes: int = 32 * MIB  # per partition, on topics whose records may hold a content
    margin_age_s: float = 24 * 3600.0  # by the broker's clock
    squeezed: Callable[[], bool] = lambda: False  # whether the disk is low; called in a thread
    interval_s: float = 60.0
    timeout_s: float = 10.0


def trimmed_topics(role: str) -> tuple[Topic, ...]:
    """Return the topics that the stages of `role` read; no other role trims them."""
    return tuple(BY_NAME[stage.reads] for stage in stages_of(role))


class LogTrimmer:
    """Deletes records of `topics` that `group` has committed, from `start` to `stop`."""

    def __init__(
        self,
        bootstrap: Bootstrap,
        *,
        group: str,
        topics: Iterable[Topic],
        config: TrimConfig,
        group_prefix: str = GROUP_PREFIX,
    ) -> None:
        self._group = group
        self._topics = {topic.name: topic for topic in topics if _may_be_trimmed(topic)}
        self._groups = {
            topic.name: (group, *(group_prefix + watcher for watcher in topic.watchers))
            for topic in self._topics.values()
        }
        self._config = config
        self._client = LogClient(bootstrap, timeout_s=config.timeout_s)
        self._periodic = Periodic(f"trim: {group}", self.trim, interval_s=config.interval_s)

    @classmethod
    def of_role(
        cls,
        bootstrap: Bootstrap,
        role: str,
        *,
        config: TrimConfig | None = None,
        group_prefix: str = GROUP_PREFIX,
    ) -> "LogTrimmer":
        """Return the trimmer of a role, which runs in the process of the role's stages."""
        return cls(
            bootstrap,
            group=group_prefix + role,
            topics=trimmed_topics(role),
            config=config or TrimConfig(),
            group_prefix=group_prefix,
        )

    async def start(self) -> None:
        self._periodic.start()

    async def stop(self) -> None:
        await self._periodic.stop()
        await self._client.stop()

    async def trim(self) -> int:
        """Delete once; return the number of deleted records. Raises BrokerUnavailable."""
        parts = await self._client.partitions(self._groups)
        committed = await self._committed_by_all()
        begins, ends = await self._client.begins(parts), await self._client.ends(parts)
        goals = trim_goals(committed, begins, ends, keep=await self._keep(committed))
        await self._client.delete_before(goals)
        removed = sum(goal - begins[part] for part, goal in goals.items())
        if removed:
            log.info("%s: deleted %d committed records", self._group, removed)
        return removed

    async def _keep(self, committed: Offsets) -> Offsets:
        """Return the first offset of the margin, by partition."""
        if await asyncio.to_thread(self._config.squeezed):
            return committed
        since_ms = int((time.time() - self._config.margin_age_s) * 1000)
        first_young = await self._client.since(committed, since_ms)
        return {
            part: min(at, max(first_young[part], at - self._margin_records(part.topic)))
            for part, at in committed.items()
        }

    def _margin_records(self, topic: str) -> int:
        config = self._config
        if not self._topics[topic].carries_contents:
            return config.margin_records
        return min(config.margin_records, config.margin_bytes // CONTENT_INLINE_MAX_BYTES)

    async def _committed_by_all(self) -> Offsets:
        """Return the lowest commit of all groups, by partition.

        A partition in which a group has no commit is left out.
        """
        groups = {self._group}.union(*self._groups.values())
        committed = {group: await self._client.committed(group) for group in groups}
        return {
            part: min(committed[group][part] for group in self._groups[part.topic])
            for part in committed[self._group]
            if part.topic in self._groups
            and all(part in committed[group] for group in self._groups[part.topic])
        }


def trim_goals(
    committed: Offsets, begins: Offsets, ends: Offsets, *, keep: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Return the offset below which to delete, by partition; idle partitions are left out.

    `keep`: the first offset of the margin. A commit beyond the end of the log belongs to another
    topic of that name: nothing is deleted.
    """
    return {
        part: keep[part]
        for part in begins
        if part in committed
        and keep[part] <= committed[part] <= ends[part]
        and keep[part] > begins[part]
    }


def _may_be_trimmed(topic: Topic) -> bool:
    """Compacted topics keep the last record of every key; dead letters wait for an operator."""
    return topic.name != DEAD_LETTERS and topic.settings.get("cleanup.policy") == "delete"
