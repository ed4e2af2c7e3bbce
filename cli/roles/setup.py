"""Role setup: bring the engines to this version, let processes in, begin the epochs, then end.

Runs at each start; safe to repeat. The files of the stores exist by then
(cli/wiring/store_files.py). The tables, topics and indices are those of cli/migration.py.
After a restore, the engines of the distributed profile are filled first
(cli/backup/cluster_restore.py). The records that were in the log of the backup are published again:
after the topics are created and before their epochs begin. Every other process waits for the
epochs, so the order within a key is kept.
"""

import asyncio
import logging
import math
from functools import partial
from typing import TYPE_CHECKING

from cli.backup.deposit_holders import hold_deposits
from cli.backup.manifest import PUT_BACK
from cli.config.config import Config
from cli.config.engines import OPENSEARCH
from cli.formatting import change_line
from cli.migration import (
    DISTRIBUTED,
    engines_of,
    migrate_engine,
    topics_config,
    while_away,
)
from cli.wiring.embedded import Adapters
from cli.wiring.profile import adapters
from mail.errors import StoreUnavailable
from mail.lifecycle import running
from mail.ports import Settings
from schemas.events.mailbox_commands import Deliver
from schemas.versions.change import SchemaChange
from stack.durable_files import sync
from stack.secrets import secret
from stack.state_folder import StateFolder
from streams.config import PublisherConfig, TopicsConfig
from streams.publisher import KafkaPublisher
from streams.readers import log_snapshot
from streams.topics.access_lists import ensure_access
from streams.topics.access_rules import USERS
from streams.topics.admin import begin_epochs, ended_epochs
from streams.topics.epochs import end_epochs, epoch_of
from streams.topics.scram_users import ensure_users
from streams.topology import BY_NAME, TOPIC_OF

if TYPE_CHECKING:
    from cli.backup.cluster_restore import ClusterRestore

log = logging.getLogger("postriver.setup")
SEARCH_LIMIT_S = 5.0
COMMANDS = TOPIC_OF[Deliver].name


async def run(config: Config, stop: asyncio.Event) -> None:
    """Set up the engines. Raises Fatal: an engine is newer, or a topic must not be changed."""
    del stop
    topics = topics_config(config)
    if config.kafka:
        passwords = {user: secret(StateFolder(config.home), user) for user in USERS}
        await while_away(lambda: ensure_users(topics, passwords))
    if config.profile == DISTRIBUTED:
        await while_away(lambda: _take_over(config))
    restore = _restore_of(config)
    if restore is not None:
        await while_away(restore.load, limit_s=math.inf)
    await _migrate(config)
    if config.profile == DISTRIBUTED:
        await while_away(lambda: _let_in(config))
    async with adapters(config) as opened:
        if restore is not None:
            await restore.fill(opened)
        directory = await opened.directory()
        await while_away(lambda: ensure_access(topics))
        await _hold_deposits(config, opened)
        await _put_back(config, topics, directory)
        if restore is not None:
            await end_epochs(directory, BY_NAME)
        await while_away(lambda: begin_epochs(topics, directory))
    if restore is not None:
        await while_away(restore.end)


def _restore_of(config: Config) -> "ClusterRestore | None":
    if config.profile != DISTRIBUTED:
        return None
    from cli.backup.cluster_restore import pending  # noqa: PLC0415

    return pending(config)


async def _migrate(config: Config) -> None:
    for engine in engines_of(config):
        if engine == OPENSEARCH:
            await _migrate_search(config)
        else:
            _log(await while_away(partial(migrate_engine, config, engine)))


async def _migrate_search(config: Config) -> None:
    """Mail needs no search: if OpenSearch is away, its indices are made by its first answer."""
    try:
        async with asyncio.timeout(SEARCH_LIMIT_S):
            _log(await migrate_engine(config, OPENSEARCH))
    except (StoreUnavailable, TimeoutError) as error:
        log.warning("the indices of the search are made later: %r", error)


def _log(changes: list[SchemaChange]) -> None:
    for each in changes:
        log.info("%s", change_line(each))


async def _take_over(config: Config) -> None:
    from cli.wiring.cassandra_stores import owner_config, take_over_cluster  # noqa: PLC0415

    if config.cassandra is None:
        await take_over_cluster(owner_config(config))


async def _let_in(config: Config) -> None:
    from cli.wiring.cassandra_stores import let_processes_in, owner_config  # noqa: PLC0415

    await let_processes_in(owner_config(config), config.home)


async def _ended_epochs(topics: TopicsConfig, settings: Settings) -> dict[str, str]:
    """Return the epoch of `mailbox.commands` in the log of the backup; {} if that log is in use."""
    epoch = await epoch_of(settings, COMMANDS)
    if epoch is None:
        return {}
    epochs = {COMMANDS: epoch}
    return epochs if await while_away(lambda: ended_epochs(topics, epochs)) else {}


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
