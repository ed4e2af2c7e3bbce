"""Lag of a process over two hours: one sample each 30 s, in memory."""

from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web

from mail.clock import now_ms
from mail.lifecycle import repeating

SAMPLE_S = 30.0
SAMPLES_KEPT = 240


class LagHistory:
    """Samples of `lag` in the status of this process; the oldest are dropped."""

    def __init__(self, status: Callable[[], dict[str, Any]]) -> None:
        self._status = status
        self._samples: deque[tuple[int, int]] = deque(maxlen=SAMPLES_KEPT)

    async def sample(self) -> None:
        """Take one sample, unless the lag is not known now."""
        lag = self._status().get("lag")
        if isinstance(lag, int):
            self._samples.append((now_ms(), lag))

    async def sampling(self, _: web.Application) -> AsyncIterator[None]:
        """Take samples while the application runs."""
        async with repeating("samples of the lag", self.sample, SAMPLE_S):
            yield

    async def respond(self, _: web.Request) -> web.Response:
        """The samples, oldest first: `[[at_ms, lag], ...]`."""
        return web.json_response({"samples": list(self._samples)})
