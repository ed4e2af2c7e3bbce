"""One TCP connection to a peer: commands, replies, content, TLS; every wait is bounded."""

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from edge.line_reader import LineReader
from mail.ports.mail_transport import Phase
from smtp.client.config import ClientConfig
from smtp.client.replies import BadReply, HostFault, Reply, read_reply

_WRITE_BUFFER_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to connect, and under which conditions. The address is used as it is."""

    name: str  # of the mail host; a certificate is compared with it
    address: str
    port: int
    verified: bool = False  # TLS with a valid certificate for `name` is required
    implicit_tls: bool = False
    username: str = ""


class TlsFault(HostFault):
    """TLS could not be begun; a connection in clear may still work."""

    def __init__(self, text: str) -> None:
        super().__init__("tls", "4.7.0", text)


class PeerConnection:
    """A connection to `target`. Errors are HostFault with the phase of the dialogue."""

    def __init__(self, target: Target, config: ClientConfig) -> None:
        self.target = target
        self.config = config
        self.phase: Phase = "connect"
        self.tls = ""
        self.tls_verified = False
        self._reader = LineReader(limit=config.reply_line_max_bytes)
        self._writer: asyncio.StreamWriter

    async def open(self, tls: ssl.SSLContext | None = None) -> None:
        """Connect; with `tls`, begin TLS before the greeting. Raises HostFault."""
        loop = asyncio.get_running_loop()
        protocol = asyncio.StreamReaderProtocol(self._reader)
        target = self.target
        try:
            async with asyncio.timeout(self.config.connect_s):
                transport, _ = await loop.create_connection(
                    lambda: protocol,
                    target.address,
                    target.port,
                    ssl=tls,
                    server_hostname=target.name if tls else None,
                )
        except TimeoutError:
            raise HostFault("connect", "4.4.1", "no answer to the connection in time") from None
        except (ssl.SSLError, ValueError) as error:
            raise TlsFault(_tls_text(error)) from error
        except OSError as error:
            raise HostFault("connect", "4.4.1", _os_text(error)) from error
        self._writer = asyncio.StreamWriter(transport, protocol, self._reader, loop)
        if tls:
            self._note_tls(tls)
        transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)

    async def start_tls(self, tls: ssl.SSLContext) -> None:
        """Begin TLS after 220; octets that came before are dropped (RFC 3207 §4.2).

        Raises TlsFault; the connection is then of no more use.
        """
        self.phase = "tls"
        self._reader.discard()
        try:
            async with asyncio.timeout(self.config.tls_handshake_s):
                await self._writer.start_tls(tls, server_hostname=self.target.name)
        except TimeoutError:
            raise TlsFault("no TLS handshake in time") from None
        except (OSError, EOFError, ValueError) as error:  # ssl.SSLError is an OSError
            raise TlsFault(_tls_text(error)) from error
        transport = cast("asyncio.Transport", self._writer.transport)
        self._reader.move_to(transport)
        transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        self._note_tls(tls)

    async def command(self, line: bytes, *, phase: Phase, within_s: float) -> Reply:
        """Send one command; return its reply. Raises HostFault."""
        await self.send(line, phase=phase)
        return await self.reply(within_s=within_s)

    async def send(self, octets: bytes, *, phase: Phase) -> None:
        """Send commands, when no reply is expected from before. Raises HostFault."""
        await self.check_quiet()
        self.phase = phase
        await self.write(octets)

    async def check_quiet(self) -> None:
        """Raise HostFault if a reply has come that no command has asked for.

        A reply of that kind would be taken for the answer to the next command. 421, or a refusal
        amid the content, says why the peer gives up.
        """
        if not self._reader.has_data:
            return
        reply = await self.reply(within_s=self.config.quit_s)
        if reply.code // 100 in {4, 5}:
            raise HostFault(self.phase, reply.status, reply.text, code=reply.code)
        raise HostFault(self.phase, "4.5.0", "a reply without a command")

    async def write(self, octets: bytes) -> None:
        """Send octets; wait while the peer reads slowly, at most `block_s`. Raises HostFault."""
        with _faults(self):
            self._writer.write(octets)
            async with asyncio.timeout(self.config.block_s):
                await self._writer.drain()

    async def reply(self, *, within_s: float) -> Reply:
        """Return the next reply. Raises HostFault: none in time, the connection ended, or 421."""
        with _faults(self):
            async with asyncio.timeout(within_s):
                reply = await read_reply(self._reader, reply_max_bytes=self.config.reply_max_bytes)
        if reply.code == 421:
            raise HostFault(self.phase, reply.status, reply.text, code=421)
        return reply

    async def last_words(self) -> Reply | None:
        """The reply that the peer sent before it closed the connection, if any."""
        with contextlib.suppress(HostFault):
            return await self.reply(within_s=1.0)
        return None

    @property
    def is_usable(self) -> bool:
        """Whether the connection is open and no octets wait to be read."""
        return not (
            self._reader.has_data or self._reader.at_eof() or self._writer.transport.is_closing()
        )

    async def quit(self) -> None:
        """Say QUIT, wait for the reply, and close; never raises a fault of the peer."""
        with contextlib.suppress(HostFault, TimeoutError):
            async with asyncio.timeout(self.config.quit_s):
                await self.write(b"QUIT\r\n")
                await self.reply(within_s=self.config.quit_s)
        self.abort()

    def abort(self) -> None:
        """Close at once: a mail without its final dot is not delivered."""
        self._writer.transport.abort()

    def _note_tls(self, context: ssl.SSLContext) -> None:
        cipher = self._writer.get_extra_info("cipher")
        version = self._writer.get_extra_info("ssl_object").version()
        self.tls = f"{version} {cipher[0]}"
        self.tls_verified = context.check_hostname


@contextlib.contextmanager
def _faults(connection: PeerConnection) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise HostFault(connection.phase, "4.4.2", "no answer in time") from None
    except EOFError:
        raise HostFault(connection.phase, "4.4.2", "the server closed the connection") from None
    except BadReply as error:
        raise HostFault(connection.phase, "4.5.0", str(error), code=error.code) from error
    except OSError as error:
        raise HostFault(connection.phase, "4.4.2", _os_text(error)) from error


def _os_text(error: OSError) -> str:
    return f"connection: {error.strerror or type(error).__name__}"


def _tls_text(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the certificate is not valid: {error.verify_message}"
    reason = getattr(error, "reason", None) or type(error).__name__
    return f"TLS: {reason}"
