"""An OpenSearch cluster: the calls that the search index needs, with the errors of the project."""

import ssl
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
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
_WHOLE = {"allow_partial_search_results": "false"}  # a shard without an answer is an error
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
    retired_for_s: float = 30.0  # a replaced index is deleted so long after, for searches under way


class Conflict(Exception):
    """The document was written since it was read, or exists."""


class AliasChanged(Exception):
    """An alias or its index is not there: another process changed them."""


class OpenSearchClient:
    """Calls of one cluster. Every method raises StoreUnavailable.

    `first` is awaited before each call; it makes the indices once. So a process with a search can
    start while the cluster is away.
    """

    def __init__(
        self, client: AsyncOpenSearch, first: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        self._client = client
        self._first = first

    @classmethod
    def open(cls, config: SearchClusterConfig) -> Self:
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
        return cls(client)

    def after(self, first: Callable[[], Awaitable[object]]) -> Self:
        """The same connections, with `first` before each call."""
        return type(self)(self._client, first)

    async def close(self) -> None:
        await self._client.close()

    async def aliases(self, pattern: str) -> dict[str, set[str]]:
        """Return the aliases of each index that matches `pattern`, as the cluster has them now."""
        found = await _called(self._client.indices.get_alias(index=pattern))
        return {name: set(each.get("aliases", ())) for name, each in found.items()}

    async def change_aliases(self, actions: list[Body]) -> None:
        """Carry out all of `actions` at once, or none. Raises AliasChanged."""
        try:
            await _called(self._client.indices.update_aliases(body={"actions": actions}))
        except NotFoundError as error:
            raise AliasChanged(error.error) from error
        except RequestError as error:
            raise _unavailable(error) from error

    async def create_index(self, name: str, body: Body) -> bool:
        """Return whether this call made the index; False: it exists."""
        try:
            await _called(self._client.indices.create(index=name, body=body))
        except RequestError as error:
            if error.error != "resource_already_exists_exception":
                raise _unavailable(error) from error
            return False
        return True

    async def delete_index(self, name: str) -> None:
        """Delete the index if it exists; another process may delete it at the same time."""
        with suppress(NotFoundError):
            await _called(self._client.indices.delete(index=name))

    async def page(self, index: str, field: str, *, after: str | None, limit: int) -> list[str]:
        """Return at most `limit` values of a keyword, in order, that follow on `after`."""
        body = {"size": limit, "sort": [{field: "asc"}], "_source": False}
        if after is not None:
            body["search_after"] = [after]
        found = await _called(self._client.search(index=index, body=body, params=_WHOLE))
        return [hit["sort"][0] for hit in found["hits"]["hits"]]

    async def bulk(self, alias: str, lines: list[Body], *, refresh: str) -> list[Body]:
        """Carry out the actions of `lines` on the index of `alias`, in order; return the results.

        No index is made: without the alias, each result is an error.
        """
        body = b"".join(_encode(line) + b"\n" for line in lines).decode()
        params = {"refresh": refresh, "require_alias": "true"}
        answer = await self._tried(self._client.bulk(body=body, index=alias, params=params))
        return [next(iter(item.values())) for item in answer["items"]]

    async def search(self, index: str, body: Body, *, routing: str | None = None) -> Body:
        params = _WHOLE | ({"routing": routing} if routing is not None else {})
        try:
            found: Body = await self._tried(
                self._client.search(index=index, body=body, params=params)
            )
        except (RequestError, NotFoundError) as error:
            raise _unavailable(error) from error
        return found

    async def many(
        self, index: str, ids: list[str], *, routing: str, source: Any, as_searched: bool = False
    ) -> list[Body]:
        """Return those of the documents that exist: as they are now, or `as_searched`.

        A search finds a document from the next refresh of its shard on.
        """
        if not ids:
            return []
        body = {"docs": [{"_id": each, "routing": routing, "_source": source} for each in ids]}
        try:
            params = {"realtime": str(not as_searched).lower()}
            answer = await self._tried(self._client.mget(index=index, body=body, params=params))
        except NotFoundError as error:
            raise _unavailable(error) from error
        if errors := [each["error"] for each in answer["docs"] if "error" in each]:
            raise StoreUnavailable(ENGINE, str(errors[0].get("type")))
        return [each for each in answer["docs"] if each.get("found")]

    async def get(self, index: str, id_: str) -> Body | None:
        """Return the document with its version (`_seq_no`, `_primary_term`), as it is now."""
        found: list[Body] = await self.many(index, [id_], routing=id_, source=True)
        return found[0] if found else None

    async def replace(self, index: str, id_: str, source: Body, before: Body | None) -> None:
        """Write the document if it is still as `before`; None: if it is new. Raises Conflict.

        `index` must be an alias.
        """
        params: dict[str, Any] = {"routing": id_, "refresh": "wait_for", "require_alias": "true"}
        if before is None:
            params["op_type"] = "create"
        else:
            params |= {"if_seq_no": before["_seq_no"], "if_primary_term": before["_primary_term"]}
        try:
            await self._tried(self._client.index(index=index, id=id_, body=source, params=params))
        except ConflictError as error:
            raise Conflict from error
        except NotFoundError as error:
            raise _unavailable(error) from error

    async def delete_where(self, index: str, query: Body, *, routing: str) -> None:
        """Delete all documents of the query that a search finds now."""
        params = {"routing": routing, "refresh": "true", "conflicts": "proceed"}
        try:
            await self._tried(
                self._client.delete_by_query(index=index, body={"query": query}, params=params)
            )
        except NotFoundError as error:
            raise _unavailable(error) from error

    async def refresh(self, index: str) -> None:
        """Return when a search finds everything that was written."""
        try:
            await self._tried(self._client.indices.refresh(index=index))
        except NotFoundError as error:
            raise _unavailable(error) from error

    async def _tried(self, call: Coroutine[Any, Any, T]) -> T:
        if self._first is not None:
            try:
                await self._first()
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
