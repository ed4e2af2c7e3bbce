"""Bring topics, tables and indices of the engines to the version of this program.

For the role `setup` and for `postriver migrate`. Files of this machine are brought there by
cli/wiring/store_files.py. Every step is safe to repeat, and by two processes at once.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

from cli.config.config import Config
from cli.config.engines import CASSANDRA, KAFKA, OPENSEARCH
from cli.wiring.profile import adapters
from mail.errors import BrokerUnavailable, Refused, StoreUnavailable
from mail.ports import Settings
from schemas.versions.change import SchemaChange
from streams.config import TopicsConfig
from streams.topics import migration as topics
from streams.topics.access_rules import SETUP

DISTRIBUTED = "distributed"
AWAY_LIMIT_S = 120.0  # for one step
T = TypeVar("T")
log = logging.getLogger(__name__)


def engines_of(config: Config) -> tuple[str, ...]:
    """The engines with a version, in the order in which they are migrated."""
    return (CASSANDRA, KAFKA, OPENSEARCH) if config.profile == DISTRIBUTED else (KAFKA,)


async def migrate_engine(
    config: Config, engine: str, *, is_live: bool = False
) -> list[SchemaChange]:
    """Bring one engine to the version of this program; return what this process did.

    Kafka after Cassandra: the directory has the version of the topics. `is_live`: processes of
    another version may run.
    Raises Refused: a change that they do not bear. Fatal: the engine is newer, and unchanged.
    BrokerUnavailable, StoreUnavailable.
    """
    if is_live:
        _check_live(await planned(config, engine))
    config = replace(config, user=SETUP)
    if engine == CASSANDRA:
        from cli.wiring import cassandra_stores as cassandra  # noqa: PLC0415  (a driver)

        return await cassandra.migrate_tables(cassandra.owner_config(config))
    if engine == OPENSEARCH:
        return await _on_indices(config, is_dry=False)
    async with _directory(config) as directory:
        return await topics.migrate(topics_config(config), directory)


async def planned(config: Config, engine: str, *, has_directory: bool = True) -> list[SchemaChange]:
    """Return what `migrate_engine` would do; change nothing. Raises as it does.

    `has_directory`: the directory is there, and of this version.
    """
    config = replace(config, user=SETUP)
    if engine == CASSANDRA:
        from cli.wiring import cassandra_stores as cassandra  # noqa: PLC0415  (a driver)

        return await cassandra.planned_tables(cassandra.owner_config(config))
    if engine == OPENSEARCH:
        return await _on_indices(config, is_dry=True)
    if not has_directory:
        return await topics.plan(topics_config(config), None)
    async with _directory(config) as directory:
        return await topics.plan(topics_config(config), directory)


def topics_config(config: Config) -> TopicsConfig:
    """How topics are made on the broker of this machine, or on the cluster of the setting."""
    replicas, in_sync = config.kafka_replicas
    return TopicsConfig(bootstrap=config.bootstrap, replicas=replicas, min_in_sync=in_sync)


async def while_away(step: Callable[[], Awaitable[T]], *, limit_s: float = AWAY_LIMIT_S) -> T:
    """Repeat `step` while an engine does not answer; raise its error after `limit_s`."""
    ends_s = asyncio.get_running_loop().time() + limit_s
    while True:
        try:
            return await step()
        except (BrokerUnavailable, StoreUnavailable) as error:
            if asyncio.get_running_loop().time() > ends_s:
                raise
            log.debug("waiting: %s", error)
            await asyncio.sleep(0.2)


@asynccontextmanager
async def _directory(config: Config) -> AsyncIterator[Settings]:
    if config.profile == DISTRIBUTED:
        from cli.wiring import cassandra_stores as cassandra  # noqa: PLC0415  (a driver)

        async with cassandra.owned_directory(cassandra.owner_config(config)) as directory:
            yield directory
    else:
        async with adapters(config) as opened:
            yield await opened.directory()


async def _on_indices(config: Config, *, is_dry: bool) -> list[SchemaChange]:
    from cli.wiring.external_engines import search_config  # noqa: PLC0415  (a driver)
    from stores.opensearch.index import OpenSearchIndex  # noqa: PLC0415

    index = OpenSearchIndex(search_config(config))
    try:
        return await (index.planned() if is_dry else index.migrate())
    finally:
        await index.close()


def _check_live(changes: Sequence[SchemaChange]) -> None:
    unbearable = [f"{each.engine} {each.part}" for each in changes if not each.live]
    if unbearable:
        raise Refused(
            f"{', '.join(unbearable)}: processes of the older version would fail; "
            "stop every stack that uses it first: postriver down"
        )
