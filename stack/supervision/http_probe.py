"""Health probes of a process over HTTP. Imported where it runs: aiohttp costs half a second."""

from dataclasses import dataclass
from pathlib import Path
from ssl import SSLContext

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


async def cluster_health(port: int, cluster: str) -> str | None:
    """None if the OpenSearch cluster at the port has this name and its shards, else the reason."""
    limit = aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.get(f"http://127.0.0.1:{port}/_cluster/health") as answer,
        ):
            health = await answer.json()
    except (OSError, TimeoutError, ValueError, aiohttp.ClientError) as cause:
        return f"port {port}: {_reason(cause)}"
    if health.get("cluster_name") != cluster:
        return f"port {port}: another cluster, {str(health.get('cluster_name'))[:60]}"
    return f"port {port}: shards are missing" if health.get("status") == "red" else None


async def http_status(host: str, port: int, tls: SSLContext | None) -> str:
    """The status of the answer to `GET /`, or the reason why there is none."""
    limit = aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S)
    place = f"[{host}]" if ":" in host else host
    try:
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.get(f"http{'s' * bool(tls)}://{place}:{port}/", ssl=tls or True) as answer,
        ):
            return str(answer.status)
    except (OSError, TimeoutError, aiohttp.ClientError) as cause:
        return _reason(cause)


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
