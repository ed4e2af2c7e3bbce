"""The session of a connection: sign-in (RFC 1939 §4, RFC 5034), TLS, capabilities, dispatch.

A command that fails leaves the session as it is. An unexpected error ends the connection.
"""

import logging
from collections.abc import Awaitable, Callable

from edge.sign_in import sasl
from edge.sign_in.authenticator import SignedIn
from edge.sign_in.sasl import Challenge, Credentials, SaslError, SaslFault
from edge.trusted_networks import is_loopback
from pop3 import replies
from pop3.command_syntax import Pop3Command, no_argument, parse_command
from pop3.connection import Pop3Connection
from pop3.maildrop_commands import MaildropCommands
from pop3.replies import Pop3Refusal, bad_command
from pop3.sign_in import authenticated, close_maildrop, open_maildrop

log = logging.getLogger(__name__)

_HTTP = frozenset({"GET", "HEAD", "POST", "PUT", "CONNECT", "OPTIONS"})
_TRANSACTION = frozenset({"STAT", "LIST", "RETR", "DELE", "RSET", "TOP", "UIDL"})
_CHATTER = frozenset({"CAPA", "NOOP", "RSET", "STAT", "USER", "AUTH", "UTF8", "LIST", "UIDL"})
_PROGRESS = frozenset({"RETR", "TOP", "DELE"})
_CAPABILITIES = (
    "TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "UTF8 USER",
    "IMPLEMENTATION Postriver",
)  # fmt: skip

CommandMethod = Callable[[Pop3Command], Awaitable[None]]


class Pop3Session:
    """The AUTHORIZATION state (RFC 1939 §4); after sign-in MaildropCommands answers."""

    def __init__(self, connection: Pop3Connection) -> None:
        self.signed_in: SignedIn | None = None
        self._connection = connection
        self._site = connection.site
        self._transaction: MaildropCommands | None = None
        self._user_name = ""  # of USER, until PASS
        self._is_over = False
        self._bad_commands = 0
        self._failures = 0  # of sign-ins
        self._chatter = 0
        self._methods: dict[str, CommandMethod] = {
            "CAPA": self._capa,
            "QUIT": self._quit,
            "NOOP": self._noop,
            "STLS": self._stls,
            "USER": self._user,
            "PASS": self._pass,
            "AUTH": self._auth,
            "UTF8": self._utf8,
        }

    @property
    def is_updating(self) -> bool:
        """Whether QUIT is deleting messages (RFC 1939 §6)."""
        return self._transaction is not None and self._transaction.is_updating

    def end(self) -> None:
        """Release the maildrop; marks without QUIT have no effect."""
        if self._transaction is not None and self.signed_in is not None:
            close_maildrop(self._site, self.signed_in, self._transaction.maildrop)
        self._transaction = self.signed_in = None

    async def execute(self, line: bytes | None) -> bool:
        """Answer one line; False: the connection ends."""
        try:
            await self._dispatch(parse_command(line))
        except Pop3Refusal as refusal:
            self._bad_commands += refusal.is_bad
            await self._connection.reply(refusal.reply)
        except (OSError, EOFError):
            raise
        except Exception:
            log.exception("command failed")
            await self._connection.hang_up(replies.BROKEN)
            return False
        return await self._may_continue()

    async def _dispatch(self, command: Pop3Command) -> None:
        verb = command.verb
        if verb in _HTTP and self.signed_in is None:  # a web page made a browser connect
            self._is_over = True
            await self._connection.hang_up(replies.NOT_HTTP)
            return
        if verb in _PROGRESS:
            self._chatter = 0
        self._chatter += verb in _CHATTER
        await self._method(verb)(command)

    def _method(self, verb: str) -> CommandMethod:
        """The method of a command. Raises Pop3Refusal: unknown, or not of this state."""
        if verb in self._methods:
            return self._methods[verb]
        if verb not in _TRANSACTION:
            raise bad_command(replies.NOT_RECOGNIZED)
        if self._transaction is None:
            raise bad_command(replies.SIGN_IN_FIRST)
        return self._transaction.methods[verb]

    async def _may_continue(self) -> bool:
        """False: the session is over, the server stops, or the client is beyond a limit."""
        config = self._site.config
        if self._is_over or self._site.stopping:
            return False
        if self._bad_commands > config.bad_commands_max:
            await self._connection.hang_up(replies.TOO_MANY_ERRORS)
        elif self._failures >= config.sign_in_failures_max:
            await self._connection.hang_up(replies.TOO_MANY_FAILURES)
        elif self._chatter > config.chatter_max:
            await self._connection.hang_up(replies.TOO_MUCH_CHATTER)
        else:
            return True
        return False

    # commands of both states

    async def _capa(self, command: Pop3Command) -> None:
        """List the capabilities (RFC 2449 §5)."""
        no_argument(command)
        lines = ["+OK capabilities follow", *_CAPABILITIES]
        if self._takes_passwords():
            lines += ["USER", "SASL " + " ".join(sasl.MECHANISMS)]
        if self._may_start_tls():
            lines.append("STLS")
        await self._connection.send("\r\n".join([*lines, ".", ""]).encode())

    async def _noop(self, command: Pop3Command) -> None:
        """RFC 1939 §5 has it after sign-in; other servers accept it before, too."""
        no_argument(command)
        await self._connection.reply("+OK")

    async def _quit(self, command: Pop3Command) -> None:
        """End the session; after sign-in, delete the marked messages first (RFC 1939 §6)."""
        no_argument(command)
        self._is_over = True
        reply = replies.GOODBYE
        if self._transaction is not None and not await self._transaction.update():
            reply = replies.NOT_REMOVED
        self.end()  # a client that has the reply can sign in again at once
        await self._connection.reply(reply)

    # commands before sign-in

    async def _stls(self, command: Pop3Command) -> None:
        """Begin TLS, and forget what came in clear (RFC 2595 §4)."""
        no_argument(command)
        self._require_authorization()
        if not self._may_start_tls():
            raise bad_command(replies.NO_TLS)
        self._user_name = ""
        await self._connection.reply("+OK begin TLS negotiation")
        await self._connection.start_tls()

    async def _utf8(self, command: Pop3Command) -> None:
        """Accept UTF8 (RFC 6856 §2.1). It has no effect: messages are always sent as stored."""
        no_argument(command)
        self._require_authorization()
        await self._connection.reply("+OK UTF8 enabled")

    async def _user(self, command: Pop3Command) -> None:
        """The same reply for every name: which users exist is not revealed."""
        self._require_password_state()
        name = command.text.strip(" ")
        if not name:
            raise bad_command("-ERR syntax: USER address")
        self._user_name = name
        await self._connection.reply("+OK send PASS")

    async def _pass(self, command: Pop3Command) -> None:
        """Spaces are part of the password (RFC 1939 §7)."""
        self._require_password_state()
        if not self._user_name:
            raise bad_command(replies.USER_FIRST)
        name, self._user_name = self._user_name, ""
        await self._sign_in(Credentials(name, command.text))

    async def _auth(self, command: Pop3Command) -> None:
        """SASL (RFC 5034), with or without an initial response; `*` cancels."""
        self._require_password_state()
        words = command.words
        if not 1 <= len(words) <= 2:
            raise bad_command("-ERR syntax: AUTH mechanism [initial-response]")
        try:
            step = sasl.begin(words[0], words[1].encode() if words[1:] else None)
            while isinstance(step, Challenge):
                step = step.respond(await self._response(step))
        except SaslError as error:
            is_bad = error.fault is not SaslFault.CANCELLED
            raise Pop3Refusal(f"-ERR {error.detail}", is_bad=is_bad) from None
        await self._sign_in(step)

    async def _response(self, challenge: Challenge) -> bytes:
        """The client's response to `challenge`. Raises SaslError."""
        await self._connection.send(f"+ {challenge.text}\r\n".encode())
        line = await self._connection.line()
        if line is None:
            raise SaslError(SaslFault.TOO_LONG)
        return line.removesuffix(b"\n").removesuffix(b"\r")

    async def _sign_in(self, credentials: Credentials) -> None:
        """Check the credentials and open the maildrop. Raises Pop3Refusal."""
        try:
            signed_in = await authenticated(self._site, credentials, self._connection.client)
        except Pop3Refusal as refusal:
            self._failures += refusal.reply == replies.WRONG_CREDENTIALS
            raise
        maildrop = await open_maildrop(self._site, signed_in)
        self.signed_in = signed_in
        self._transaction = MaildropCommands(self._connection, signed_in.user, maildrop)
        self._site.stats.sign_ins_total += 1
        await self._connection.reply(
            f"+OK maildrop has {maildrop.count} messages ({maildrop.size_bytes} octets)"
        )

    def _require_authorization(self) -> None:
        if self._transaction is not None:
            raise bad_command(replies.NOT_NOW)

    def _require_password_state(self) -> None:
        self._require_authorization()
        if not self._takes_passwords():
            raise bad_command(replies.NEEDS_TLS)

    def _takes_passwords(self) -> bool:
        """Whether a password that comes now cannot be read on the way, or may be."""
        connection = self._connection
        return (
            connection.is_encrypted
            or self._site.config.in_clear
            or connection.client == ""
            or is_loopback(connection.client)
        )

    def _may_start_tls(self) -> bool:
        connection = self._connection
        is_free = not connection.is_encrypted and self._transaction is None
        return is_free and self._site.tls is not None
