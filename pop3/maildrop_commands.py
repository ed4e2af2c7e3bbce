"""The TRANSACTION and UPDATE states (RFC 1939 §5, §6): lists, messages, marks, deletion."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from edge.mailbox_commands import CommandFailed, command_fields
from mail.errors import Transient
from pop3.command_syntax import (
    Pop3Command,
    message_number,
    no_argument,
    number_and_lines,
    optional_number,
)
from pop3.connection import Pop3Connection
from pop3.maildrop import Maildrop
from pop3.retrieval import Retrieval
from schemas.directory import User
from schemas.events import mailbox_events
from schemas.events.mailbox_commands import ExpungeMessages
from schemas.events.mailbox_events import MailboxEvent
from schemas.ids import MessageId
from schemas.mailbox import INBOX

log = logging.getLogger(__name__)

DELETED_AT_ONCE = 500  # messages of one command
_LINES_AT_ONCE = 1_000  # of a list, between two turns of other connections


class MaildropCommands:
    """The commands after sign-in, on one maildrop."""

    def __init__(self, connection: Pop3Connection, user: User, maildrop: Maildrop) -> None:
        self.maildrop = maildrop
        self.is_updating = False
        self._connection = connection
        self._site = connection.site
        self._user = user
        self.methods: dict[str, Callable[[Pop3Command], Awaitable[None]]] = {
            "STAT": self._stat,
            "LIST": self._list,
            "UIDL": self._uidl,
            "RETR": self._retr,
            "TOP": self._top,
            "DELE": self._dele,
            "RSET": self._rset,
        }

    async def _stat(self, command: Pop3Command) -> None:
        no_argument(command)
        await self._connection.reply(f"+OK {self.maildrop.count} {self.maildrop.size_bytes}")

    async def _list(self, command: Pop3Command) -> None:
        """Sizes are those of the messages as sent, without the dots of dot-stuffing."""
        sizes = self.maildrop.sizes_bytes
        await self._listing(command, lambda number: str(sizes[number - 1]))

    async def _uidl(self, command: Pop3Command) -> None:
        await self._listing(command, self.maildrop.message_id)

    async def _listing(self, command: Pop3Command, value_of: Callable[[int], str]) -> None:
        """Reply with number and value of one message, or of all messages that are not marked."""
        number = optional_number(command)
        if number is not None:
            self.maildrop.check(number)
            await self._connection.reply(f"+OK {number} {value_of(number)}")
            return
        await self._connection.reply(f"+OK {self.maildrop.count} messages")
        lines = (f"{number} {value_of(number)}\r\n" for number in self.maildrop.numbers())
        for part in _parts(lines, _LINES_AT_ONCE):
            await self._connection.send("".join(part).encode())
            await asyncio.sleep(0)
        await self._connection.send(b".\r\n")

    async def _retr(self, command: Pop3Command) -> None:
        await self._send_message(message_number(command), None)

    async def _top(self, command: Pop3Command) -> None:
        await self._send_message(*number_and_lines(command))

    async def _send_message(self, number: int, body_lines: int | None) -> None:
        self.maildrop.check(number)
        message_id = self.maildrop.message_id(number)
        await Retrieval(self._connection, self._user.user_id).send(message_id, body_lines)

    async def _dele(self, command: Pop3Command) -> None:
        number = message_number(command)
        self.maildrop.check(number)
        self.maildrop.deleted.add(number)
        await self._connection.reply(f"+OK message {number} marked as deleted")

    async def _rset(self, command: Pop3Command) -> None:
        no_argument(command)
        self.maildrop.deleted.clear()
        await self._connection.reply(f"+OK maildrop has {self.maildrop.count} messages")

    async def update(self) -> bool:
        """Remove the marked messages from the inbox; True once all of them are removed.

        A message that is in another folder too stays there.
        """
        self.is_updating = True
        try:
            for part in _parts(self.maildrop.marked_ids(), DELETED_AT_ONCE):
                await self._expunge(part)
        except (CommandFailed, Transient, TimeoutError) as error:
            log.warning("some messages marked by a POP3 session were not removed: %s", error)
            return False
        finally:
            self.is_updating = False
        return True

    async def _expunge(self, message_ids: list[MessageId]) -> None:
        """Remove messages from the inbox; those that are gone already count as removed.

        Raises CommandFailed, BrokerUnavailable, TimeoutError: no event came in time.
        """
        command = ExpungeMessages(
            **command_fields(self._user), message_ids=tuple(message_ids), folder_id=INBOX
        )
        try:
            event = await self._site.commands.execute(command)
        except CommandFailed as failure:
            if failure.outcome != mailbox_events.NOT_FOUND:
                raise
        else:
            _check(event)
            self._site.stats.deleted_messages_total += len(message_ids)


def _check(event: MailboxEvent | None) -> None:
    """Raises CommandFailed: a message was not removed; TimeoutError: there is no event."""
    if event is None:
        raise TimeoutError("no event of the mailbox in time")
    if event.conflicts or event.refusals:
        raise CommandFailed(mailbox_events.CONFLICT, "a message was not removed")


T = TypeVar("T")


def _parts(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """`values` in lists of `size`, the last one shorter."""
    iterator = iter(values)
    while part := list(islice(iterator, size)):
        yield part
