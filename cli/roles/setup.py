"""setup: topics exist before anybody needs them. Runs once a start, repeats safely.

The stores' files were made before (cli/wiring/store_files.py).
After a restore it puts back the records that had waited in the log: after the topics are made and
before their epochs begin, so that every other process still waits and order within a key is kept.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from cli.backup.manifest import PUT_BACK
from cli.config.config import Config
from cli.wiring.profile import adapters
from mail.errors import BrokerUnavailable
from mail.lifecycle import running
from mail.ports import Settings
from schemas.events.mailbox_commands import Deliver
from stack.durable_files import sync
from streams.config import PublisherConfig, TopicsConfig
from streams.publisher import KafkaPublisher
from streams.readers import log_snapshot
from streams.topics.access_lists import ensure_access
from streams.topics.admin import begin_epochs, ended_epochs, make_topics
from streams.topics.epochs import epoch_of
from streams.topology import TOPIC_OF

log = logging.getLogger("postriver.setup")
BROKER_PATIENCE_S = 120.0
T = TypeVar("T")
COMMANDS = TOPIC_OF[Deliver].name


async def run(config: Config, stop: asyncio.Event) -> None:
    """Waits for the broker; a topic that differs from the table ends this with the reason."""
    del stop
    topics = TopicsConfig(bootstrap=config.bootstrap)
    async with adapters(config) as opened:
        directory = await opened.directory()
        await _patiently(lambda: make_topics(topics))
        await _patiently(lambda: ensure_access(topics))
        await _put_back(config, topics, directory)
        await _patiently(lambda: begin_epochs(topics, directory))


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    async with asyncio.timeout(BROKER_PATIENCE_S):
        while True:
            try:
                return await ask()
            except BrokerUnavailable as error:
                log.debug("waiting: %s", error)
                await asyncio.sleep(0.2)


async def _ended_epochs(topics: TopicsConfig, settings: Settings) -> dict[str, str]:
    """The epoch of the commands in the log that the backup was taken of; none if it goes on."""
    epoch = await epoch_of(settings, COMMANDS)
    if epoch is None:
        return {}
    known = {COMMANDS: epoch}
    return known if await _patiently(lambda: ended_epochs(topics, known)) else {}


async def _put_back(config: Config, topics: TopicsConfig, settings: Settings) -> None:
    records = config.home / PUT_BACK
    if not records.exists():
        return
    epochs = await _ended_epochs(topics, settings)
    river = PublisherConfig(bootstrap=config.bootstrap, client_id="setup")
    async with running(KafkaPublisher(river)) as publisher:
        count = await log_snapshot.put_back(config.bootstrap, publisher, records, epochs=epochs)
    records.unlink()
    sync(records.parent)  # a power cut must not bring the file, and so its records, back
    log.info("put back %d records that the backup had found in the log", count)
