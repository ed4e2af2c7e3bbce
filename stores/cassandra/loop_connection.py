"""The driver's connection on the event loop of its callers.

The reactors that come with the driver have a thread of their own: each request and each answer
changes threads, and waits for the interpreter's lock while the loop of the process works. Here
both stay on one loop. The driver connects, prepares and closes from other threads.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from cassandra.connection import Connection, ConnectionShutdown

CLOSING_MAX_S = 5.0
SLICE_BYTES = 16_384  # the driver copies what is left behind each answer


class LoopThread:
    """The running event loop, with calls into it from any thread."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.open: set[asyncio.Future[None]] = set()  # one for each connection until it is closed
        self._thread = threading.get_ident()

    def call(self, function: Callable[..., object], *values: Any) -> None:
        """Call at once on the thread of the loop, else soon; never if the loop has ended."""
        if threading.get_ident() == self._thread:
            function(*values)
        else:
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(function, *values)

    async def all_closed(self) -> None:
        """Wait until the connections are closed that the driver has closed, for a while."""
        if self.open:
            await asyncio.wait(self.open, timeout=CLOSING_MAX_S)


def connections_on(loop: LoopThread) -> type[Any]:
    """A class of connections that `loop` reads and writes."""
    return type("LoopConnection", (_LoopConnection,), {"on": loop})


class _LoopConnection(Connection):  # type: ignore[misc]
    on: LoopThread
    is_closed: bool

    def __init__(self, *values: Any, **more: Any) -> None:
        super().__init__(*values, **more)
        self._transport: asyncio.Transport | None = None
        opening = self._open()
        try:
            connecting = asyncio.run_coroutine_threadsafe(opening, self.on.loop)
        except RuntimeError as error:
            opening.close()
            raise OSError("the loop of the session has ended") from error
        try:
            connecting.result(self.connect_timeout)
        except TimeoutError as error:
            connecting.cancel()
            raise OSError(
                f"no connection to {self.endpoint} within {self.connect_timeout} s"
            ) from error
        self._send_options_message()

    async def _open(self) -> None:
        address, port = self.endpoint.resolve()
        is_named = self.ssl_context is not None and self.ssl_context.check_hostname
        self._transport, _ = await self.on.loop.create_connection(
            lambda: _Protocol(self), address, port, ssl=self.ssl_context,
            server_hostname=self.endpoint.address if is_named else self.ssl_context and "",
        )  # fmt: skip
        if self.is_closed:
            self._transport.abort()

    @classmethod
    def create_timer(cls, timeout: float, callback: Callable[[], None]) -> "_Timer":
        return _Timer(cls.on, timeout, callback)

    def push(self, data: bytes) -> None:
        self.on.call(self._write, data)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def received(self, data: bytes) -> None:
        for at in range(0, len(data), SLICE_BYTES):
            self._iobuf.write(data[at : at + SLICE_BYTES])
            self.process_io_buffer()

    def lost(self, error: Exception | None) -> None:
        if error is not None:
            self.defunct(error)
        else:
            self.close()

    def close(self) -> None:
        with self.lock:
            if self.is_closed:
                return
            self.is_closed = True
        if not self.is_defunct:
            self.error_all_requests(ConnectionShutdown(f"connection to {self.endpoint} was closed"))
            self.connected_event.set()
        self.on.call(self._abort)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class _Protocol(asyncio.Protocol):
    def __init__(self, connection: _LoopConnection) -> None:
        self._connection = connection
        self._closed = connection.on.loop.create_future()

    def connection_made(self, _: asyncio.BaseTransport) -> None:
        self._connection.on.open.add(self._closed)

    def data_received(self, data: bytes) -> None:
        self._connection.received(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._connection.lost(error)
        self._connection.on.open.discard(self._closed)
        self._closed.set_result(None)


class _Timer:
    """A call after a time, unless it is cancelled; made and cancelled by any thread."""

    def __init__(self, on: LoopThread, timeout_s: float, then: Callable[[], None]) -> None:
        self._on = on
        self._handle: asyncio.TimerHandle | None = None
        on.call(self._start, timeout_s, then)

    def _start(self, timeout_s: float, then: Callable[[], None]) -> None:
        self._handle = self._on.loop.call_later(timeout_s, then)

    def cancel(self) -> None:
        self._on.call(self._cancel)

    def _cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
