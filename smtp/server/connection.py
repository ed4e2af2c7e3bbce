"""One SMTP connection: its lifetime, command loop and limits. The commands are in session.py.

aiosmtpd's SMTP provides transports, session and envelope, reset rules and plain commands. Replaced
are its constructor, which inspects all attributes for every connection, and its command loop, which
accepts bare LF, drops commands that a client pipelined before it closed its side, and shares line
limits among connections.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

from aiosmtpd.smtp import SMTP

from edge import proxy_protocol
from edge.connections import linger, peer_address
from edge.line_reader import LineReader
from smtp.server import replies
from smtp.server.command_syntax import LINE_EXTRA_BYTES, split_line
from smtp.server.context import ConnectionContext
from smtp.server.replies import Rejection

log = logging.getLogger(__name__)

CommandVerb = Callable[[Any, str | None], Awaitable[None]]

COMMAND_BUFFER_BYTES = 4096
_HTTP = frozenset({"GET", "POST", "PUT", "CONNECT"})
_CHATTER = frozenset({"NOOP", "RSET", "VRFY", "EXPN", "HELP", "EHLO", "HELO"})


class SmtpConnection(SMTP):
    """A connection to a client. `verbs`: the method of each command.

    `implicit_tls`: TLS began before the first byte; no PROXY header is read then.
    """

    verbs: ClassVar[dict[str, CommandVerb]] = {}
    buffer_bytes: ClassVar[int] = COMMAND_BUFFER_BYTES
    line_extra_bytes: ClassVar[Mapping[str, int]] = LINE_EXTRA_BYTES
    event_handler: ClassVar[None] = None
    require_starttls: ClassVar[bool] = False
    enable_SMTPUTF8: ClassVar[bool] = True  # noqa: N815  a name of aiosmtpd's
    _auth_required: ClassVar[bool] = False
    _decode_data: ClassVar[bool] = False
    _handle_hooks: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        site: ConnectionContext,
        loop: asyncio.AbstractEventLoop,
        *,
        implicit_tls: bool = False,
    ) -> None:
        reader = LineReader(limit=self.buffer_bytes, loop=loop)
        asyncio.StreamReaderProtocol.__init__(self, reader, self._cb_client_connected, loop)
        self.site = site
        self.loop = loop
        self.hostname = site.config.hostname
        self.tls_context = site.tls
        self.transport: asyncio.Transport | None = None
        self.session: Any = None
        self.client = ""
        self._counted_as: str | None = (
            None  # address in the limiter; None: a proxy before its header
        )
        self.encrypted = implicit_tls
        self.in_data = False
        self.leaving = False  # the last reply is sent
        self.bad_commands = 0
        self.unknown_recipients = 0  # replies 550 to RCPT
        self.chatter = 0
        self._smtp_methods = self.verbs  # for aiosmtpd's HELP
        self._timeout_duration = site.config.command_idle_s
        self._timeout_handle: asyncio.TimerHandle | None = None
        self.reader = reader
        self._original_transport: asyncio.Transport | None = None
        self._handler_coroutine: asyncio.Task[None] | None = None

    # life

    def connection_made(self, transport: Any) -> None:
        self.client = peer_address(transport)
        if self.encrypted or self.client not in self.site.config.proxies:
            self._counted_as = self.client
        if self.site.stopping or not self.site.limiter.connect(self._counted_as):
            reply = replies.GOODBYE if self.site.stopping else replies.TOO_MANY_CONNECTIONS
            self.site.stats.refused_total[reply[:9]] += 1
            transport.write(reply.encode() + b"\r\n")
            transport.close()
            return
        super().connection_made(transport)
        self.site.stats.tls_total += self.encrypted
        self.site.connections.add(self)
        self.task.add_done_callback(self._release)

    def connection_lost(self, error: Exception | None) -> None:
        if self._handler_coroutine is None:
            return
        super().connection_lost(error)

    def _release(self, task: "asyncio.Task[None]") -> None:
        """Release the connection; runs once its task has ended for any reason."""
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        self.site.connections.discard(self)
        self.site.limiter.disconnect(self._counted_as)
        if not task.cancelled() and task.exception() is not None:
            log.error("connection failed", exc_info=task.exception())
        self._close()

    def eof_received(self) -> bool:
        """The client has closed its sending side, and may still read replies."""
        if self._handler_coroutine is None:
            return False
        self.reader.feed_eof()
        return not self.encrypted

    def _timeout_cb(self) -> None:
        self._send_last(replies.TOO_SLOW if self.in_data else replies.IDLE)
        self._close()

    @property
    def task(self) -> "asyncio.Task[None]":
        assert self._handler_coroutine is not None
        return self._handler_coroutine

    def bow_out(self) -> None:
        """The server stops: close now, or after the mail whose data is being read."""
        if not self.in_data:
            self._send_last(replies.GOODBYE)
            self._close()

    def abort(self) -> None:
        """Close and cancel the task: the server's grace period is over."""
        if self.in_data:
            self._send_last(replies.GOODBYE)
        self._close()
        self.task.cancel()

    def give_way(self) -> None:
        """End the mail whose data is being read, so that others get its slot and memory."""
        self._send_last(replies.GIVE_WAY)
        self._close()
        self.task.cancel()

    def _close(self) -> None:
        """Close after the client has read what was written; abort after `linger_s`."""
        for transport in (self.transport, self._original_transport):
            if transport is not None and not transport.is_closing():
                transport.close()
                self.loop.call_later(self.site.config.linger_s, transport.abort)

    def allow(self, idle_s: float) -> None:
        """Set the idle timeout: close unless data comes within `idle_s`."""
        self._reset_timeout(idle_s)

    def idle_max_s(self) -> float:
        """Seconds within which the next command must come."""
        return self.site.config.command_idle_s

    # replies

    def _send_last(self, reply: str) -> None:
        """Write the last reply, unless the transport is closing or a last reply was sent."""
        if self.transport is None or self.transport.is_closing() or self.leaving:
            return
        self.leaving = True
        self.site.stats.refused_total[reply[:9]] += 1
        self.transport.write(reply.encode() + b"\r\n")

    async def push(self, status: str) -> None:
        """Send and count one reply. Replies of aiosmtpd pass here too."""
        reply = replies.with_code(status)
        if reply[0] in "45":
            self.site.stats.refused_total[reply[:9]] += 1
            self.bad_commands += replies.is_bad_command(reply)
        log.debug("%s << %s", self.client, reply)
        await self.send(reply.encode() + b"\r\n")

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def hang_up(self, reply: str) -> None:
        """Send `reply`, read on for up to `linger_s`, and close."""
        await self.push(reply)
        self.leaving = True
        await linger(self.reader, self._writer, within_s=self.site.config.linger_s)
        self._close()

    # commands

    async def _handle_client(self) -> None:
        """The connection's task, started by aiosmtpd."""
        with contextlib.suppress(EOFError, OSError):
            if not await self._identify_peer():
                return
            await self.send(f"220 {self.hostname} ESMTP Postriver\r\n".encode())
            while await self._command():
                pass
        self._close()

    async def _identify_peer(self) -> bool:
        """Read the PROXY header of a trusted proxy; False when the connection has to end."""
        if self._counted_as is not None:
            return True
        within_s, stats = self.site.config.proxy_header_s, self.site.stats
        client = await proxy_protocol.client_of(
            self.client, self.reader, within_s=within_s, stats=stats
        )
        if client is None:
            self._close()
            return False
        self.client = client
        if not self.site.limiter.acquire(self.client):
            self._send_last(replies.TOO_MANY_CONNECTIONS)
            self._close()
            return False
        self._counted_as = self.client
        return True

    async def _command(self) -> bool:
        """Read and answer one command; False when the connection has to end."""
        self._reset_timeout(self.idle_max_s())
        line = await self.reader.line()
        try:
            await self._dispatch(line)
        except Rejection as rejection:
            await self.push(rejection.reply)
        except (OSError, EOFError):
            raise
        except Exception:
            log.exception("command failed")
            await self.hang_up(replies.BROKEN)
            return False
        return await self._may_continue()

    async def _may_continue(self) -> bool:
        """False after 421: the server stops, or the client is beyond a limit."""
        config = self.site.config
        if self.transport is None or self.transport.is_closing():
            return False
        if self.site.stopping:
            await self.hang_up(replies.GOODBYE)
        elif self.bad_commands > config.bad_commands_max:
            await self.hang_up(replies.TOO_MANY_ERRORS)
        elif self.chatter > config.chatter_max:
            await self.hang_up(replies.TOO_MUCH_CHATTER)
        else:
            return True
        return False

    async def _dispatch(self, line: bytes | None) -> None:
        verb, arg = split_line(line, self.line_extra_bytes)
        method = self.verbs.get(verb)
        if method is None:
            if verb in _HTTP and not self.session.host_name:
                await self.hang_up(replies.NOT_HTTP)  # a web page made a browser connect
                return
            raise Rejection(replies.NOT_RECOGNIZED)
        self.chatter += verb in _CHATTER
        await method(self, arg)
