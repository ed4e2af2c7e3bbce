"""Where a mail is: what the stores and the log tell of it, put together for an operator."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from cli.config.config import Config
from cli.formatting import when
from cli.wiring.embedded import Adapters
from mail.clock import now_ms
from mail.directory.recipient_resolver import DirectoryResolver
from mail.errors import BadAddress, NotFound, Refused, Transient
from mail.ledger.locator import look
from mail.ports import Directory, Ledger, MailStore, Quarantine
from schemas.ledger import OPEN, LedgerEntry
from schemas.mail import HeaderSummary, Hop, Verdict
from schemas.mailbox import Message
from schemas.quarantine import Quarantined
from stack.state_folder import StateFolderError
from stack.supervision.client import NotRunning, read_status
from streams.readers.mail_finder import LocatedRecord, find_in_flight
from streams.topology import DEAD_LETTERS

CANDIDATES_MAX = 100
STORED, QUARANTINED, PARKED, WAITING, PASSED = (
    "stored",
    "quarantined",
    "parked",
    "waiting",
    "passed",
)


_MAIL_ID = 7  # the version of a mail's UUID; that of a message is 5
_NOT_YET = ". A mail over 32 KiB has one once it is delivered: try --recipient and --around"


def version_of(name: str) -> int | None:
    """Of the UUID that a mail id or a message id is; None for a Message-ID. Refused: neither."""
    try:
        return uuid.UUID(name).version
    except ValueError:
        if "@" in name or name.startswith("<"):
            return None
        raise Refused(f"{name} is no mail id, no message's id and no Message-ID") from None


class DeliveryEnd(msgspec.Struct, frozen=True, kw_only=True):
    """A place where the mail is, or was last seen (`passed`)."""

    state: str
    where: str
    hops: tuple[Hop, ...] = ()
    verdict: Verdict | None = None
    subject: str | None = None
    user_id: str = ""  # "": it waits for no owner alone, or for many
    address: str = ""
    deleted: bool = False  # by its owner


class TraceCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that may be the one that is looked for."""

    mail_id: str
    accepted_at_ms: int
    states: tuple[str, ...]  # of its owners
    subject: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracer:
    """Looks; `subjects` are shown only to who asks for them."""

    config: Config
    ledger: Ledger
    store: MailStore
    quarantine: Quarantine
    directory: Directory
    subjects: bool = False

    @classmethod
    async def open(cls, config: Config, opened: Adapters, *, subjects: bool) -> "Tracer":
        return cls(
            config=config,
            ledger=await opened.ledger(),
            store=await opened.mail_store(),
            quarantine=await opened.quarantine(),
            directory=await opened.directory(),
            subjects=subjects,
        )

    async def mails_named(self, name: str) -> list[str]:
        """Ids of the mails that a name of the three kinds means, newest first. NotFound."""
        if (version := version_of(name)) is None:
            found = await self.ledger.by_header(name.removeprefix("<").removesuffix(">"))
            if not found:
                raise NotFound(f"no mail with the Message-ID {name} is known{_NOT_YET}")
            return [entry.mail_id for entry in found]
        message = None if version == _MAIL_ID else await self.ledger.by_message(name)
        return [message[0] if message else name]

    async def candidates(
        self, address: str, *, around_ms: int, within_ms: int
    ) -> list[TraceCandidate]:
        """Mails to one address about that time, newest first. NotFound: no such address."""
        try:
            owners = await DirectoryResolver(self.directory, self.config.hostname).resolve(address)
        except (Refused, BadAddress) as error:
            raise NotFound(f"{address}: {error.detail}") from error
        span = {"since_ms": around_ms - within_ms, "until_ms": around_ms + within_ms}
        found: dict[str, LedgerEntry] = {}
        for owner in owners:
            mails = await self.ledger.of_user(owner.user.user_id, limit=CANDIDATES_MAX, **span)
            found |= {entry.mail_id: entry for entry in mails}
        newest = sorted(found.values(), key=lambda entry: entry.accepted_at_ms, reverse=True)
        return await self._as_candidates(newest[:CANDIDATES_MAX])

    async def candidates_of(self, mail_ids: Sequence[str]) -> list[TraceCandidate]:
        found = [await self.ledger.get(mail_id) for mail_id in mail_ids]
        return await self._as_candidates([entry for entry in found if entry])

    async def _as_candidates(self, entries: Sequence[LedgerEntry]) -> list[TraceCandidate]:
        letters = await self.ledger.letters(entry.mail_id for entry in entries)
        sights = await look(entries, self.store, self.quarantine, letters=letters)
        return [
            TraceCandidate(
                mail_id=one.entry.mail_id,
                accepted_at_ms=one.entry.accepted_at_ms,
                states=tuple(sorted({state or "on its way" for state in one.states().values()})),
                subject=self._subject(next(_heads(one.messages, one.row), None)),
            )
            for one in sights
        ]

    async def ends(self, mail_id: str) -> list[DeliveryEnd]:
        """Every place where the mail is, else where it was last seen. NotFound: no trace."""
        messages = await self.store.by_mail(mail_id)
        row = await self.quarantine.get(mail_id)
        ends = [await self._stored(message) for message in messages]
        ends += [self._quarantined(row)] if row else []
        if await self._may_be_elsewhere(mail_id, messages, row):
            ends += await self._in_log(mail_id, alone=not ends)
        if not ends:
            raise NotFound(f"no trace of mail {mail_id}")
        return ends

    async def _may_be_elsewhere(
        self, mail_id: str, messages: Sequence[Message], row: Quarantined | None
    ) -> bool:
        entry = await self.ledger.get(mail_id)
        if entry is not None:
            sight = (await look([entry], self.store, self.quarantine))[0]
            return OPEN in sight.states().values()
        return not messages and (row is None or row.released_at_ms is not None)

    async def _stored(self, message: Message) -> DeliveryEnd:
        owner = await self.directory.user(message.user_id)
        address = f" ({owner.address})" if owner else ""
        did = "deleted by" if message.destroyed else "stored for"
        folders = ", ".join(sorted(message.places)) or "no folder"
        return DeliveryEnd(
            state=STORED,
            where=f"{did} user {message.user_id}{address} as message {message.message_id}"
            f" in {folders}",
            hops=message.hops,
            verdict=message.verdict,
            subject=self._subject(message.head),
            user_id=message.user_id,
            address=owner.address if owner else "",
            deleted=message.destroyed,
        )

    def _quarantined(self, row: Quarantined) -> DeliveryEnd:
        where = f"in quarantine ({row.reason}) since {when(row.quarantined_at_ms)}"
        if row.released_at_ms is not None:
            where += f", released {when(row.released_at_ms)} by {row.released_by}"
            where += ", to be delivered within minutes" if row.unpublished else ""
        if row.deleted_at_ms is not None:
            where = f"deleted from quarantine {when(row.deleted_at_ms)} by {row.deleted_by}"
        return DeliveryEnd(
            state=QUARANTINED,
            where=where,
            hops=row.hops,
            verdict=row.verdict,
            subject=self._subject(row.head),
        )

    async def _in_log(self, mail_id: str, *, alone: bool) -> list[DeliveryEnd]:
        """What waits; what is past only when there is nothing else to tell."""
        try:
            found = await find_in_flight(self.config.bootstrap, mail_id)
        except Transient as error:
            if alone:
                raise Refused(f"not in a mailbox nor in quarantine, and {error}") from error
            return []
        shown = [one for one in found if not one.committed]
        held = _held(self.config) if shown else []
        return [self._flying(one, held) for one in shown or (found[:1] if alone else [])]

    def _flying(self, found: LocatedRecord, held: Sequence[dict[str, Any]]) -> DeliveryEnd:
        state, where = _where(found, held)
        event: Any = found.event
        head = getattr(event, "head", None)
        return DeliveryEnd(
            state=state,
            where=where,
            hops=getattr(event, "hops", ()),
            verdict=getattr(event, "verdict", None),
            subject=self._subject(head),
            user_id=getattr(event, "user_id", ""),
        )

    def _subject(self, head: HeaderSummary | None) -> str | None:
        return head.subject if head and self.subjects else None


def _heads(messages: Iterable[Message], row: Quarantined | None) -> Iterator[HeaderSummary]:
    yield from (message.head for message in messages)
    if row is not None:
        yield row.head


def _where(found: LocatedRecord, held: Sequence[dict[str, Any]]) -> tuple[str, str]:
    at = f"{found.topic} partition {found.partition} offset {found.offset}"
    if found.topic == DEAD_LETTERS:
        letter = f"dead letter {found.partition}-{found.offset}"
        said = f"{letter}, parked by {found.stage} {when(found.at_ms)}: {found.cause}"
        return (PASSED, f"{said} (seen to)") if found.committed else (PARKED, said)
    if found.committed:
        return PASSED, f"last seen on {at}, passed by {found.stage}: see postriver audit"
    owner = getattr(found.event, "user_id", "")
    mine = f" for user {owner}" if owner else ""
    waited_s = max(0, now_ms() - found.at_ms) // 1000
    return WAITING, f"on {at}{mine}, waiting for {found.stage} since {waited_s} s{_by(found, held)}"


def _by(found: LocatedRecord, held: Sequence[dict[str, Any]]) -> str:
    for one in held:
        if (one["topic"], one["partition"]) == (found.topic, found.partition):
            return f"; held: {one['engine']}, since {when(one['since_ms'])}"
    return ""


def _held(config: Config) -> list[dict[str, Any]]:
    try:
        roles = read_status(config.home)["roles"]
    except (NotRunning, StateFolderError):
        return []
    return [one for role in roles for one in role["held"]]
