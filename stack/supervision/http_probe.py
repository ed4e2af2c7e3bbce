"""Health probe of a process over HTTP. Imported where it runs: aiohttp costs half a second."""

from dataclasses import dataclass
from pathlib import Path

import aiohttp

from stack.supervision.probes import NOT_LISTENING, PROBE_TIMEOUT_S, reason


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """Ready when `GET page` on the unix socket `path` answers 200; else the body is the reason."""

    path: Path
    page: str

    async def __call__(self) -> str | None:
        try:
            status, body = await http_get(self.path, self.page)
        except (OSError, TimeoutError, aiohttp.ClientError) as cause:
            return _reason(cause)
        return None if status == 200 else f"{status} {body[:200].decode('utf-8', 'replace')}"


async def http_get(path: Path, page: str) -> tuple[int, bytes]:
    """Return status and body of `page` on the unix socket `path`.

    Raises OSError, TimeoutError, ClientError.
    """
    limit = aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S)
    connector = aiohttp.UnixConnector(path=str(path))
    async with (
        aiohttp.ClientSession(connector=connector, timeout=limit) as session,
        session.get(f"http://localhost{page}") as answer,
    ):
        return answer.status, await answer.read()


def _reason(cause: BaseException) -> str:
    return NOT_LISTENING if isinstance(cause, aiohttp.ClientConnectorError) else reason(cause)
