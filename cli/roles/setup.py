"""Role setup: create the topics and begin their epochs, then end.

Runs at each start; safe to repeat. The files of the stores exist by then
(cli/wiring/store_files.py).
After a restore, the engines of the distributed profile are filled first
(cli/backup/cluster_restore.py). The records that were in the log of the backup are published again:
after the topics are created and before their epochs begin. Every other process waits for the
epochs, so the order within a key is kept.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from cli.backup.deposit_holders import hold_deposits
from cli.backup.manifest import PUT_BACK
from cli.config.config import Config
from cli.wiring.embedded import Adapters
from cli.wiring.profile import adapters
from mail.errors import BrokerUnavailable, StoreUnavailable, Transient
from mail.lifecycle import running
from mail.ports import Settings
from schemas.events.mailbox_commands import Deliver
from stack.durable_files import sync
from stack.secrets import secret
from stack.state_folder import StateFolder
from streams.config import PublisherConfig, TopicsConfig
from streams.publisher import KafkaPublisher
from streams.readers import log_snapshot
from streams.topics.access_lists import ensure_access
from streams.topics.access_rules import USERS
from streams.topics.admin import begin_epochs, ended_epochs, make_topics
from streams.topics.epochs import end_epochs, epoch_of
from streams.topics.scram_users import ensure_users
from streams.topology import BY_NAME, TOPIC_OF

if TYPE_CHECKING:
    from cli.backup.cluster_restore import ClusterRestore

log = logging.getLogger("postriver.setup")
BROKER_LIMIT_S = 120.0  # for one step
T = TypeVar("T")
COMMANDS = TOPIC_OF[Deliver].name


async def run(config: Config, stop: asyncio.Event) -> None:
    """Set up the topics. Raises Fatal: a topic differs and must not be changed."""
    del stop
    topics = topics_config(config)
    if config.kafka:
        passwords = {user: secret(StateFolder(config.home), user) for user in USERS}
        await _retry(lambda: ensure_users(topics, passwords))
    restore = _restore_of(config)
    if restore is not None:
        await _retry(restore.load, while_away=Transient, limit_s=None)
    if config.profile == "distributed":
        await _retry(lambda: _prepare_cluster(config), while_away=StoreUnavailable)
    async with adapters(config) as opened:
        if restore is not None:
            await restore.fill(opened)
        directory = await opened.directory()
        await _retry(lambda: make_topics(topics))
        await _retry(lambda: ensure_access(topics))
        await _hold_deposits(config, opened)
        await _put_back(config, topics, directory)
        if restore is not None:
            await end_epochs(directory, BY_NAME)
        await _retry(lambda: begin_epochs(topics, directory))
    if restore is not None:
        await _retry(restore.end, while_away=StoreUnavailable)


def topics_config(config: Config) -> TopicsConfig:
    """How topics are made on the broker of this machine, or on the cluster of the setting."""
    replicas, in_sync = config.kafka_replicas
    return TopicsConfig(bootstrap=config.bootstrap, replicas=replicas, min_in_sync=in_sync)


def _restore_of(config: Config) -> "ClusterRestore | None":
    if config.profile != "distributed":
        return None
    from cli.backup.cluster_restore import pending  # noqa: PLC0415

    return pending(config)


async def _retry(
    step: Callable[[], Awaitable[T]],
    *,
    while_away: type[Exception] = BrokerUnavailable,
    limit_s: float | None = BROKER_LIMIT_S,
) -> T:
    """Repeat `step` while an engine does not answer. Raises TimeoutError after `limit_s`."""
    async with asyncio.timeout(limit_s):
        while True:
            try:
                return await step()
            except while_away as error:
                log.debug("waiting: %s", error)
                await asyncio.sleep(0.2)


async def _prepare_cluster(config: Config) -> None:
    from cli.wiring.cassandra_stores import owner_config, prepare_cluster  # noqa: PLC0415

    runs_here = config.cassandra is None
    await prepare_cluster(owner_config(config), config.home, runs_here=runs_here)


async def _ended_epochs(topics: TopicsConfig, settings: Settings) -> dict[str, str]:
    """Return the epoch of `mailbox.commands` in the log of the backup; {} if that log is in use."""
    epoch = await epoch_of(settings, COMMANDS)
    if epoch is None:
        return {}
    epochs = {COMMANDS: epoch}
    return epochs if await _retry(lambda: ended_epochs(topics, epochs)) else {}


async def _hold_deposits(config: Config, opened: Adapters) -> None:
    records = config.home / PUT_BACK
    if records.exists():
        await hold_deposits(records, await opened.holders())


async def _put_back(config: Config, topics: TopicsConfig, settings: Settings) -> None:
    records = config.home / PUT_BACK
    if not records.exists():
        return
    epochs = await _ended_epochs(topics, settings)
    publisher_config = PublisherConfig(bootstrap=config.bootstrap, client_id="setup")
    async with running(KafkaPublisher(publisher_config)) as publisher:
        count = await log_snapshot.restore(config.bootstrap, publisher, records, epochs=epochs)
    records.unlink()
    sync(records.parent)  # a power cut must not bring the file, and so its records, back
    log.info("published %d records of the backup's log again", count)
