"""Supervisors as the admin API reads them: that of this machine, or those that are named."""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from cli.config.config import Config
from operations.stack_status import (
    LagSamples,
    StackReport,
    StackStatus,
    StatusUnavailable,
    decoded_lags,
    decoded_report,
    merged,
)

TIMEOUT_S = 10.0
LOCALHOST = {"Host": "localhost"}  # a supervisor answers to names of the loopback only


class OpsStackStatus(StackStatus):
    """Supervisors at `urls`, all of which must answer."""

    def __init__(self, urls: tuple[str, ...]) -> None:
        self._urls = urls

    async def report(self) -> StackReport:
        bodies = await self._ask("/status")
        return merged([(at, decoded_report(body)) for at, body in bodies])

    async def lags(self) -> list[LagSamples]:
        bodies = await self._ask("/history")
        if len(bodies) == 1:
            return decoded_lags(bodies[0][1])
        return [
            LagSamples(name=f"{each.name}@{at}", samples=each.samples)
            for at, body in bodies
            for each in decoded_lags(body)
        ]

    async def _ask(self, page: str) -> list[tuple[str, Any]]:
        """The JSON of each supervisor with its host. Raises StatusUnavailable."""
        limit = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=limit, headers=LOCALHOST) as session:
            return await asyncio.gather(*(_asked(session, url, page) for url in self._urls))


async def _asked(session: aiohttp.ClientSession, url: str, page: str) -> tuple[str, Any]:
    host = urlsplit(url).netloc
    try:
        async with session.get(f"{url.rstrip('/')}{page}", allow_redirects=False) as answer:
            body = await answer.read()
            if answer.status != 200:
                raise StatusUnavailable(f"{host} answered {answer.status}")
            return host, json.loads(body)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise StatusUnavailable(f"{host} does not answer: {error!r}") from error


def stack_status(config: Config) -> OpsStackStatus:
    """The supervisors that the settings name, else that of this machine."""
    urls = tuple(url for url in config.ops_urls.split(",") if url)
    return OpsStackStatus(urls or (f"http://127.0.0.1:{config.ports.ops}",))
