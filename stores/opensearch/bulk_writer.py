"""Writes of one process, gathered into bulk requests; one request at a time keeps their order."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from mail.errors import StoreUnavailable
from stores.opensearch.client import ENGINE, OpenSearchClient
from stores.opensearch.generations import Generation, Generations
from stores.waiters import settle

BATCH_MAX = 500
BATCH_MAX_BYTES = 8 * 1024 * 1024
_NO_INDEX = "index_not_found_exception"
WAITING_MAX = 2_000  # writes that wait; beyond it a caller waits before its write is taken


@dataclass(frozen=True, slots=True)
class _Write:
    lines: tuple[dict[str, Any], ...]  # an action and, unless it deletes, its document
    size_bytes: int
    waiter: asyncio.Future[None] = field(compare=False)


class BulkWriter:
    """`write` returns when the write is durable and found by searches, in each generation."""

    def __init__(self, client: OpenSearchClient, generations: Generations) -> None:
        self._client = client
        self._generations = generations
        self._waiting: deque[_Write] = deque()
        self._room = asyncio.Semaphore(WAITING_MAX)
        self._sender: asyncio.Task[None] | None = None

    async def write(self, *lines: dict[str, Any], size_bytes: int = 0) -> None:
        """Raises StoreUnavailable: it may or may not have been written."""
        async with self._room:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(_Write(lines, size_bytes, waiter))
            if self._sender is None or self._sender.done():
                self._sender = asyncio.create_task(self._send_all())
            await waiter

    async def flush(self) -> None:
        """Return when the writes that wait now have been sent."""
        while self._sender is not None and not self._sender.done():
            await asyncio.wait([self._sender])

    async def _send_all(self) -> None:
        await asyncio.sleep(0)  # until all that run now have added theirs
        while self._waiting:
            batch = self._next_batch()
            if not batch:
                continue
            outcomes: list[Exception | None] = [None] * len(batch)
            try:
                await self._generations.each(partial(self._send, batch, outcomes))
            except Exception as error:  # noqa: BLE001 raised in the callers of `write`
                outcomes = [error] * len(batch)
            settle([write.waiter for write in batch], outcomes)

    async def _send(
        self, batch: list[_Write], outcomes: list[Exception | None], generation: Generation
    ) -> None:
        """Send one request; add its errors to `outcomes`. Raises StoreUnavailable."""
        lines = [line for write in batch for line in write.lines]
        results = await self._client.bulk(generation.write("search"), lines, refresh="wait_for")
        if any(result.get("error", {}).get("type") == _NO_INDEX for result in results):
            raise StoreUnavailable(ENGINE, f"{generation.index('search')} is gone")
        for place, result in enumerate(results):
            outcomes[place] = outcomes[place] or _outcome(result)

    def _next_batch(self) -> list[_Write]:
        """Take the oldest writes; drop those whose caller was cancelled (its partition moved)."""
        batch: list[_Write] = []
        size_bytes = 0
        while self._waiting and len(batch) < BATCH_MAX and size_bytes < BATCH_MAX_BYTES:
            write = self._waiting.popleft()
            if not write.waiter.done():
                batch.append(write)
                size_bytes += write.size_bytes
        return batch


def _outcome(result: dict[str, Any]) -> Exception | None:
    """The error of one action; to delete what is not there is none."""
    if result["status"] < 300 or (result["status"] == 404 and "error" not in result):
        return None
    error = result.get("error", {})
    return StoreUnavailable(
        ENGINE, f"{result['status']} {error.get('type')}: {error.get('reason')}"
    )
