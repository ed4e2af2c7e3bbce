"""An OpenSearch cluster: the calls that the search index needs, with the errors of the project."""

import asyncio
import ssl
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import msgspec
from opensearchpy import AsyncOpenSearch
from opensearchpy.exceptions import (
    ConflictError,
    ConnectionTimeout,
    NotFoundError,
    OpenSearchException,
    RequestError,
    TransportError,
)

from mail.errors import StoreUnavailable

ENGINE = "opensearch"
Body = dict[str, Any]
T = TypeVar("T")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchClusterConfig:
    """Where the cluster is. `refresh`: how soon a write is found; a write waits for it."""

    port: int
    hosts: tuple[str, ...] = ("127.0.0.1",)
    user: str = ""  # "": no authentication
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None
    prefix: str = "postriver"  # of the names of indices
    shards: int = 1
    replicas: int = 0
    refresh: str = "200ms"
    timeout_s: float = 30.0


class Conflict(Exception):
    """The document was written since it was read, or exists."""


class OpenSearchClient:
    """Calls of one cluster. Every method raises StoreUnavailable.

    Before the first call that the cluster answers, it makes those of `indices` that do not exist:
    name to mappings and settings. A process with a search can start while the cluster is away.
    """

    def __init__(self, client: AsyncOpenSearch, indices: Mapping[str, tuple[Body, Body]]) -> None:
        self._client = client
        self._indices = dict(indices)  # that are not known to exist
        self._making = asyncio.Lock()

    @classmethod
    def open(cls, config: SearchClusterConfig, indices: Mapping[str, tuple[Body, Body]]) -> Self:
        """Connections are made when they are needed."""
        hosts = [{"host": host, "port": config.port} for host in config.hosts]
        client = AsyncOpenSearch(
            hosts=hosts,
            timeout=config.timeout_s,
            max_retries=0,
            http_auth=(config.user, config.password) if config.user else None,
            use_ssl=config.tls is not None,
            ssl_context=config.tls,
        )
        return cls(client, indices)

    async def close(self) -> None:
        await self._client.close()

    async def names(self, pattern: str) -> list[str]:
        """Return the names of the indices that match `pattern`; makes none."""
        found = await _called(self._client.indices.get_alias(index=pattern))
        return sorted(found)

    async def make_indices(self) -> list[str]:
        """Make the indices that do not exist; return the names of those that this call made."""
        made = []
        async with self._making:
            for name, (mappings, settings) in [*self._indices.items()]:
                body = {"mappings": mappings, "settings": {"index": settings}}
                try:
                    await _called(self._client.indices.create(index=name, body=body))
                    made.append(name)
                except RequestError as error:
                    if error.error != "resource_already_exists_exception":
                        raise _unavailable(error) from error
                del self._indices[name]
        return made

    async def bulk(self, lines: list[Body], *, refresh: str) -> list[Body]:
        """Carry out the actions of `lines` in order; return one result each."""
        body = b"".join(_encode(line) + b"\n" for line in lines).decode()
        answer = await self._tried(self._client.bulk(body=body, params={"refresh": refresh}))
        return [next(iter(item.values())) for item in answer["items"]]

    async def search(self, index: str, body: Body, *, routing: str | None = None) -> Body:
        params = {"routing": routing} if routing is not None else {}
        try:
            found: Body = await self._tried(
                self._client.search(index=index, body=body, params=params)
            )
        except (RequestError, NotFoundError) as error:
            raise _unavailable(error) from error
        return found

    async def many(self, index: str, ids: list[str], *, routing: str, source: Any) -> list[Body]:
        """Return those of the documents that exist, as they are now."""
        if not ids:
            return []
        body = {"docs": [{"_id": each, "routing": routing, "_source": source} for each in ids]}
        answer = await self._tried(self._client.mget(index=index, body=body))
        return [each for each in answer["docs"] if each.get("found")]

    async def get(self, index: str, id_: str) -> Body | None:
        """Return the document with its version (`_seq_no`, `_primary_term`), as it is now."""
        found: list[Body] = await self.many(index, [id_], routing=id_, source=True)
        return found[0] if found else None

    async def replace(self, index: str, id_: str, source: Body, before: Body | None) -> None:
        """Write the document if it is still as `before`; None: if it is new. Raises Conflict."""
        params: dict[str, Any] = {"routing": id_, "refresh": "wait_for"}
        if before is None:
            params["op_type"] = "create"
        else:
            params |= {"if_seq_no": before["_seq_no"], "if_primary_term": before["_primary_term"]}
        try:
            await self._tried(self._client.index(index=index, id=id_, body=source, params=params))
        except ConflictError as error:
            raise Conflict from error

    async def delete_where(self, index: str, query: Body, *, routing: str) -> None:
        """Delete all documents of the query that a search finds now."""
        params = {"routing": routing, "refresh": "true", "conflicts": "proceed"}
        await self._tried(
            self._client.delete_by_query(index=index, body={"query": query}, params=params)
        )

    async def refresh(self, index: str) -> None:
        """Return when a search finds everything that was written."""
        await self._tried(self._client.indices.refresh(index=index))

    async def _tried(self, call: Coroutine[Any, Any, T]) -> T:
        if self._indices:
            try:
                await self.make_indices()
            except BaseException:
                call.close()
                raise
        return await _called(call)


async def _called(call: Coroutine[Any, Any, T]) -> T:
    try:
        return await call
    except (RequestError, ConflictError, NotFoundError):
        raise
    except (OpenSearchException, OSError) as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> StoreUnavailable:
    if isinstance(error, ConnectionTimeout):
        return StoreUnavailable(ENGINE, "no answer in time")
    if isinstance(error, TransportError):
        return StoreUnavailable(ENGINE, f"{error.status_code} {error.error}"[:200])
    return StoreUnavailable(ENGINE, str(error)[:200] or type(error).__name__)
