"""Depositor: puts a mail that its owner hands in into the owner's mailbox, and waits for it.

The base of drafts, IMAP APPEND and import. The virus scanner is asked at once: what is infected,
cannot be scanned or is over quota is refused, and while a part of the service is away nothing is
accepted. A mail of a deposit is on no topic before its command: its first hop is `append`.

Order: content, outline, holders, command. A process that is killed in between leaves a content with
two holders. The holder `deposit` names such contents: custody ends both holders if neither a
message nor a record in the log needs them, and then the sweep deletes the content.
Safe to repeat with the same `client_id`: one message. Without, a repeat is a second message.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from edge.deposits.deposit import Deposit, Deposited, DepositsBusy, NoSuchFolder, TooLarge
from edge.deposits.line_ends import with_crlf
from edge.deposits.room import NOTHING, OwnerRoom
from edge.deposits.virus_check import VirusCheck
from edge.fair_turns import FairTurns, QueueFull
from edge.mailbox_commands import CommandFailed, MailboxCommands, command_fields
from mail.clock import now_ms
from mail.errors import NotFound, Refused
from mail.ids import derived_id, holder_of, message_id, new_command_id, new_id
from mail.mailbox.command_rules import CHANGED_MEANWHILE
from mail.mailbox.delivery_rules import fault_of
from mail.mailbox.folders import exists
from mail.mailbox.message_rules import NO_FOLDER
from mail.ports import ContentStore, Holders, MailStore, OutlineStore, Parser
from schemas.content import Stored
from schemas.directory import User
from schemas.events.mailbox_commands import Batch, Deliver, ExpungeMessages
from schemas.events.mailbox_events import CONFLICT, MailboxChanged, MailboxEvent
from schemas.holders import DEPOSIT_HOLDER, Holder
from schemas.ids import FolderId, MailId, MessageId
from schemas.mail import APPEND, HeaderSummary, Hop, Verdict
from schemas.mailbox import NO_DRAFT, Message, Usage

_THREAD_BYTES = 256 * 1024  # line ends of larger mails are counted on a thread


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositPorts:
    store: MailStore
    contents: ContentStore
    outlines: OutlineStore
    holders: Holders
    parser: Parser


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositConfig:
    """Limits of one process, and its name in hops."""

    worker: str  # the edge: "api", "imap@host"
    size_max_bytes: int = 50 * 1024 * 1024  # after the line ends are made CRLF
    at_once: int = 4  # deposits that are scanned and stored
    per_user: int = 1  # a mail may take the parser's limits of time
    waiting_max: int = 256  # in fair turns among users


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """A mail whose content, outline and holders are durable."""

    mail_id: MailId
    content: Stored
    head: HeaderSummary
    verdict: Verdict
    hop: Hop


class Depositor:
    """Deposits of one process."""

    def __init__(
        self,
        ports: DepositPorts,
        config: DepositConfig,
        *,
        commands: MailboxCommands,
        virus: VirusCheck,
        room: OwnerRoom,
    ) -> None:
        self._ports = ports
        self._config = config
        self._commands = commands
        self._virus = virus
        self._room = room
        self._turns = FairTurns(config.at_once, config.waiting_max, slots_per_key=config.per_user)

    async def deposit(self, user: User, deposit: Deposit) -> Deposited:
        """Store the mail and return its message, once the mailbox shows it.

        With `replaces`, both messages change in one step: no reader sees none or both of them.
        Raises TooLarge, OverQuota, Infected, CannotBeScanned, NoSuchFolder; NotFound: there is no
        message to replace; CommandFailed `conflict`: it was changed; Refused: keywords or folders
        are invalid; Transient: try later, nothing was accepted, but a BrokerUnavailable leaves open
        whether the message appears later.
        """
        if earlier := await self._earlier(user, deposit):
            return earlier
        await self._check_folders(user, deposit)
        replaced = await self._replaced(user, deposit)
        try:
            async with self._turns.turn(user.user_id):
                stored = await self._store(user, deposit, replaced)
        except QueueFull:
            raise DepositsBusy from None
        return await self._deliver(user, deposit, replaced, stored)

    async def _earlier(self, user: User, deposit: Deposit) -> Deposited | None:
        """The message of an earlier deposit with this `client_id`, also if it was destroyed."""
        if not deposit.client_id:
            return None
        row = await self._ports.store.message(user.user_id, _named(user, deposit.client_id))
        return _found(row) if row else None

    async def _check_folders(self, user: User, deposit: Deposit) -> None:
        """Check what the mailbox would refuse, before the mail is scanned and stored."""
        if not deposit.folder_ids:
            raise Refused("A message is in one folder at least.")
        if fault := fault_of(deposit.folder_ids, deposit.keywords):
            raise Refused(fault)
        state = await self._ports.store.state(user.user_id)
        if not all(exists(state, folder_id) for folder_id in deposit.folder_ids):
            raise NoSuchFolder

    async def _replaced(self, user: User, deposit: Deposit) -> Message | None:
        if deposit.replaces is None:
            return None
        row = await self._ports.store.message(user.user_id, deposit.replaces.message_id)
        if row is None or row.destroyed:
            raise NotFound("There is no such message.")
        if row.changed_seq > deposit.replaces.unchanged_since_seq:
            raise CommandFailed(CONFLICT, CHANGED_MEANWHILE)
        return row

    async def _store(self, user: User, deposit: Deposit, replaced: Message | None) -> _Stored:
        """Scan the mail, and make content, outline and holders durable, in this order."""
        started_at_ms, started_s = now_ms(), time.perf_counter()
        mail_id, ports = MailId(new_id()), self._ports
        octets = await self._octets(user, deposit, replaced)
        verdict = await self._virus.verdict(octets, await ports.parser.forms(octets))
        parsed = await ports.parser.outlined_head(octets)
        content = await ports.contents.put(mail_id, octets)
        await ports.outlines.put(mail_id, parsed.outline)
        name = holder_of(mail_id, user.user_id, _message_id(user, deposit, mail_id))
        await ports.holders.hold(
            Holder(mail_id=mail_id, holder=holder, ref=content.ref)
            for holder in (DEPOSIT_HOLDER, name)
        )
        hop = Hop(
            stage=APPEND,
            started_at_ms=started_at_ms,
            took_ms=round((time.perf_counter() - started_s) * 1000, 3),
            verdict=verdict.outcome,
            attempt=1,
            worker=self._config.worker,
        )
        return _Stored(mail_id=mail_id, content=content, head=parsed.head, verdict=verdict, hop=hop)

    async def _octets(self, user: User, deposit: Deposit, replaced: Message | None) -> bytes:
        """The octets with CRLF, which fit limits and quotas. Raises TooLarge; OverQuota."""
        octets, max_bytes = deposit.octets, self._config.size_max_bytes
        if len(octets) <= max_bytes:
            large = len(octets) > _THREAD_BYTES
            octets = await asyncio.to_thread(with_crlf, octets) if large else with_crlf(octets)
        if len(octets) > max_bytes:
            raise TooLarge(max_bytes)
        freed = Usage(replaced.content.size_bytes, 1) if replaced else NOTHING
        await self._room.check(user, size_bytes=len(octets), replaced=freed)
        return octets

    async def _deliver(
        self, user: User, deposit: Deposit, replaced: Message | None, stored: _Stored
    ) -> Deposited:
        command = _command(user, deposit, replaced, stored)
        try:
            event = await self._commands.execute(command)
        except CommandFailed as failure:
            if failure.detail == NO_FOLDER:
                raise NoSuchFolder from failure
            raise
        deliver = command.parts[0] if isinstance(command, Batch) else command
        assert isinstance(deliver, Deliver)
        return await self._outcome(user, deliver, event)

    async def _outcome(self, user: User, deliver: Deliver, event: MailboxEvent | None) -> Deposited:
        """What the event says of the message, or the row if an earlier command delivered it."""
        if isinstance(event, MailboxChanged):
            for change in event.changes:
                if change.message_id == deliver.message_id:
                    return _deposited(deliver, event.seq, change.places)
        row = event and await self._ports.store.message(user.user_id, deliver.message_id)
        return _found(row) if row else _deposited(deliver, None, {})


def _command(
    user: User, deposit: Deposit, replaced: Message | None, stored: _Stored
) -> Deliver | Batch:
    """The command that delivers the mail, and destroys the message that it replaces."""
    common = command_fields(user)
    deliver = _deliver_of(user, deposit, replaced, stored, common)
    if deposit.replaces is None:
        return deliver
    destroy = ExpungeMessages(
        **(common | {"command_id": new_command_id()}),
        message_ids=(deposit.replaces.message_id,),
        unchanged_since_seq=deposit.replaces.unchanged_since_seq,
    )
    batch = common | {"command_id": new_command_id()}
    return Batch(**batch, parts=(deliver, destroy), is_atomic=True)


def _deliver_of(
    user: User,
    deposit: Deposit,
    replaced: Message | None,
    stored: _Stored,
    common: dict[str, Any],
) -> Deliver:
    first_id, *more_ids = dict.fromkeys(deposit.folder_ids)
    received_at_ms = deposit.received_at_ms
    return Deliver(
        **common,
        message_id=_message_id(user, deposit, stored.mail_id),
        mail_id=stored.mail_id,
        folder_id=first_id,
        more_folder_ids=tuple(more_ids),
        keywords=deposit.keywords,
        content=stored.content,
        received_at_ms=common["at_ms"] if received_at_ms is None else received_at_ms,
        head=stored.head,
        verdict=stored.verdict,
        hops=(stored.hop,),
        strict=True,
        draft_id=(replaced.draft_id if replaced else NO_DRAFT) or deposit.draft_id,
    )


def _message_id(user: User, deposit: Deposit, mail_id: MailId) -> MessageId:
    if deposit.client_id:
        return _named(user, deposit.client_id)
    return message_id(mail_id, user.user_id)


def _named(user: User, client_id: str) -> MessageId:
    """The id of the message of all deposits with this id of the client."""
    return MessageId(derived_id(user.user_id, APPEND, client_id))


def _found(row: Message) -> Deposited:
    return Deposited(
        mail_id=row.mail_id,
        message_id=row.message_id,
        draft_id=row.draft_id,
        changed_seq=row.changed_seq,
        places=row.places,
    )


def _deposited(deliver: Deliver, seq: int | None, places: dict[FolderId, int]) -> Deposited:
    return Deposited(
        mail_id=deliver.mail_id,
        message_id=deliver.message_id,
        draft_id=deliver.draft_id,
        changed_seq=seq,
        places=places,
    )
