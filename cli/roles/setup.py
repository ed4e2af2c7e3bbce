"""setup: topics and schemas exist before anybody needs them. Runs once a start, repeats safely."""

import asyncio
import logging

from cli.config import Config
from cli.wiring import adapters
from mail.errors import BrokerUnavailable
from streams.config import TopicsConfig
from streams.topics import ensure_topics

log = logging.getLogger("postriver.setup")
BROKER_PATIENCE_S = 120.0


async def run(config: Config, stop: asyncio.Event) -> None:
    """Waits for the broker; a topic that differs from the table ends this with the reason."""
    del stop
    async with adapters(config) as opened:
        directory = await opened.directory()
        await opened.mail_store()
        await opened.quarantine()
        await opened.holders()
        async with asyncio.timeout(BROKER_PATIENCE_S):
            while True:
                try:
                    await ensure_topics(TopicsConfig(bootstrap=config.bootstrap), directory)
                except BrokerUnavailable as error:
                    log.debug("waiting: %s", error)
                    await asyncio.sleep(0.2)
                else:
                    return
