"""trace: every place where one mail is, from the stores and the log.

Mailboxes and quarantine are read first. The log is searched when the ledger has a delivery without
a known state, or when neither store has the mail. Subjects are returned only on request.
Reads only.
"""

import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from mail.addresses import normal_address
from mail.clock import now_ms, rfc3339
from mail.errors import BadAddress, NotFound, Refused, Transient
from mail.ledger.locator import locate
from mail.sending.submission_rows import is_final
from operations.ports import TracePorts
from schemas.ids import MailId, MessageId, SubmissionId, UserId
from schemas.ledger import OPEN, PARKED, QUARANTINED, STORED, LedgerEntry
from schemas.mail import APPEND, HeaderSummary, Hop, Verdict
from schemas.mailbox import Message
from schemas.quarantine import Quarantined
from schemas.submissions import HELD, Submission
from streams.readers.mail_finder import LocatedRecord
from streams.topology import DEAD_LETTERS

WAITING: Final = "waiting"  # found in the log only, not finished by its reader
PASSED: Final = "passed"  # found in the log only, finished by its reader
EndState = Literal["submitted", "stored", "quarantined", "parked", "waiting", "passed"]
CANDIDATES_MAX = 100
_MAIL_ID = 7  # the version of a mail's UUID; the version of a message's UUID is 5
_NOT_YET = ". A mail over 32 KiB has one once it is delivered: try --recipient and --around"


class DeliveryEnd(msgspec.Struct, frozen=True, kw_only=True):
    """A place where the mail is, or was seen last (`passed`)."""

    state: EndState
    where: str  # a sentence for the operator
    hops: tuple[Hop, ...] = ()
    verdict: Verdict | None = None
    subject: str | None = None
    user_id: UserId = UserId("")  # "": the place is not that of one owner
    address: str = ""
    deleted: bool = False  # by its owner


class TraceCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that matches the search."""

    mail_id: MailId
    accepted_at_ms: int
    states: tuple[str, ...]  # of its deliveries, each state once
    subject: str | None = None


class TraceResult(msgspec.Struct, frozen=True, kw_only=True):
    """The mails that match, newest first, and the places of the mail if only one matches."""

    candidates: list[TraceCandidate]
    ends: list[DeliveryEnd]


class HeldPartition(msgspec.Struct, frozen=True, kw_only=True):
    """A partition that waits for an engine, from a role's /status."""

    topic: str
    partition: int
    engine: str
    since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracer:
    """Searches for mails.

    `find_records` returns the records of a mail in the log (streams/readers/mail_finder.py).
    `held` returns the partitions that wait now; it is called only if a record waits.
    """

    ports: TracePorts
    find_records: Callable[[str], Awaitable[list[LocatedRecord]]]
    held: Callable[[], Awaitable[Sequence[HeldPartition]]]
    subjects: bool = False

    async def by_name(self, name: str, *, owner: str = "") -> TraceResult:
        """Trace the mail of a mail id, a message id or a Message-ID.

        The message id of a deposit, which the ledger does not have, is found with its `owner`
        (address or id). Raises NotFound: no trace of it; Refused: `name` is of no such form.
        """
        mail_ids = await self._mail_ids(name, owner)
        entries = [await self.ports.ledger.get(mail_id) for mail_id in mail_ids]
        candidates = await self._candidates([entry for entry in entries if entry])
        if len(mail_ids) > 1:
            return TraceResult(candidates=candidates, ends=[])
        ends = await self.ends(mail_ids[0])
        return TraceResult(candidates=candidates or [_not_in_ledger(mail_ids[0], ends)], ends=ends)

    async def by_recipient(self, address: str, *, around_ms: int, within_ms: int) -> TraceResult:
        """Trace mail to `address` that was accepted within `within_ms` before or after a moment.

        At most CANDIDATES_MAX mails. Raises NotFound: no such address or mail.
        """
        try:
            owners = await self.ports.resolver.resolve(address)
        except (Refused, BadAddress) as error:
            raise NotFound(f"{address}: {error.detail}") from error
        span = {"since_ms": around_ms - within_ms, "until_ms": around_ms + within_ms}
        entries: dict[str, LedgerEntry] = {}
        for owner in owners:
            user_id = owner.user.user_id
            mails = await self.ports.ledger.list_of_user(user_id, limit=CANDIDATES_MAX, **span)
            entries |= {entry.mail_id: entry for entry in mails}
        newest = sorted(entries.values(), key=lambda entry: entry.accepted_at_ms, reverse=True)
        candidates = await self._candidates(newest[:CANDIDATES_MAX])
        if not candidates:
            raise NotFound(f"no mail to {address} was accepted about that time")
        ends = await self.ends(candidates[0].mail_id) if len(candidates) == 1 else []
        return TraceResult(candidates=candidates, ends=ends)

    async def ends(self, mail_id: MailId) -> list[DeliveryEnd]:
        """Return every place where the mail is, else where it was seen last. Raises NotFound."""
        messages = await self.ports.store.by_mail(mail_id)
        submission = await self.ports.submissions.get(SubmissionId(mail_id))
        if submission and submission.mail.sent_mail_id:
            messages += await self.ports.store.by_mail(submission.mail.sent_mail_id)
        row = await self.ports.quarantine.get(mail_id)
        ends = _submitted(submission) if submission else []
        ends += [await self._stored(message) for message in messages]
        ends += [self._quarantined(row)] if row else []
        if submission:
            may_be_in_log = not is_final(submission)
        else:
            may_be_in_log = await self._may_be_in_log(mail_id, messages, row)
        if may_be_in_log:
            ends += await self._in_log(mail_id, in_no_store=not ends)
        if not ends:
            raise NotFound(f"no trace of mail {mail_id}")
        return ends

    async def _mail_ids(self, name: str, owner: str) -> list[MailId]:
        """Ids of the mails that `name` means, newest first."""
        if (version := uuid_version(name)) is None:
            header = name.removeprefix("<").removesuffix(">")
            if own := _own_mail_id(header):
                return [own]
            entries = await self.ports.ledger.list_by_header(header)
            if not entries:
                raise NotFound(f"no mail with the Message-ID {name} is known{_NOT_YET}")
            return [entry.mail_id for entry in entries]
        if version == _MAIL_ID:
            return [MailId(name)]
        message = await self.ports.ledger.by_message(MessageId(name))
        return [MailId(message[0]) if message else await self._mail_of(MessageId(name), owner)]

    async def _mail_of(self, message_id: MessageId, owner: str) -> MailId:
        """The mail of a message of `owner`; the id itself if there is no such message."""
        users = self.ports.users
        if "@" in owner:
            user = await users.user_by_address(normal_address(owner))
        else:
            user = await users.user(UserId(owner)) if owner else None
        row = await self.ports.store.message(user.user_id, message_id) if user else None
        return row.mail_id if row else MailId(message_id)

    async def _candidates(self, entries: Sequence[LedgerEntry]) -> list[TraceCandidate]:
        letters = await self.ports.ledger.dead_letters(entry.mail_id for entry in entries)
        locations = await locate(
            entries, self.ports.store, self.ports.quarantine, dead_letters=letters
        )
        return [
            TraceCandidate(
                mail_id=mail.entry.mail_id,
                accepted_at_ms=mail.entry.accepted_at_ms,
                states=tuple(sorted({state or "on its way" for state in mail.states().values()})),
                subject=self._subject(next(_headers(mail.messages, mail.row), None)),
            )
            for mail in locations
        ]

    async def _may_be_in_log(
        self, mail_id: MailId, messages: Sequence[Message], row: Quarantined | None
    ) -> bool:
        entry = await self.ports.ledger.get(mail_id)
        if entry is not None:
            location = (await locate([entry], self.ports.store, self.ports.quarantine))[0]
            return OPEN in location.states().values()
        return not messages and (row is None or row.released_at_ms is not None)

    async def _stored(self, message: Message) -> DeliveryEnd:
        owner = await self.ports.users.user(message.user_id)
        address = f" ({owner.address})" if owner else ""
        deposited = bool(message.hops) and message.hops[0].stage == APPEND
        stored = "put there by" if deposited else "stored for"
        did = "deleted by" if message.destroyed else stored
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
        where = f"in quarantine ({row.reason}) since {rfc3339(row.quarantined_at_ms)}"
        if row.released_at_ms is not None:
            where += f", released {rfc3339(row.released_at_ms)} by {row.released_by}"
            where += ", to be delivered within minutes" if row.unpublished else ""
        if row.deleted_at_ms is not None:
            where = f"deleted from quarantine {rfc3339(row.deleted_at_ms)} by {row.deleted_by}"
        return DeliveryEnd(
            state=QUARANTINED,
            where=where,
            hops=row.hops,
            verdict=row.verdict,
            subject=self._subject(row.head),
        )

    async def _in_log(self, mail_id: MailId, *, in_no_store: bool) -> list[DeliveryEnd]:
        """Return the records that wait; if no store has the mail, else the last consumed record.

        Without a broker: Refused if no store has the mail, else [].
        """
        try:
            records = await self.find_records(mail_id)
        except Transient as error:
            if in_no_store:
                raise Refused(f"not in a mailbox nor in quarantine, and {error}") from error
            return []
        shown = [record for record in records if not record.committed]
        held = await self.held() if shown else []
        shown = shown or (records[:1] if in_no_store else [])
        return [self._logged(record, held) for record in shown]

    def _logged(self, record: LocatedRecord, held: Sequence[HeldPartition]) -> DeliveryEnd:
        state, where = _place_in_log(record, held)
        event: Any = record.event
        return DeliveryEnd(
            state=state,
            where=where,
            hops=getattr(event, "hops", ()),
            verdict=getattr(event, "verdict", None),
            subject=self._subject(getattr(event, "head", None)),
            user_id=UserId(getattr(event, "user_id", "")),
        )

    def _subject(self, head: HeaderSummary | None) -> str | None:
        return head.subject if head and self.subjects else None


def uuid_version(name: str) -> int | None:
    """Return the version of the UUID `name`, None for a Message-ID.

    Raises Refused: `name` is neither.
    """
    try:
        return uuid.UUID(name).version
    except ValueError:
        if "@" in name or name.startswith("<"):
            return None
        raise Refused(f"{name} is no mail id, no message's id and no Message-ID") from None


def _own_mail_id(header: str) -> MailId | None:
    """The mail id in a Message-ID of a mail that was composed here; None for another Message-ID."""
    local = header.partition("@")[0]
    with suppress(ValueError):
        return MailId(local) if uuid.UUID(local).version == _MAIL_ID else None
    return None


def of_owner(ends: Iterable[DeliveryEnd], user: str) -> list[DeliveryEnd]:
    """Return the places of one owner, named by address or id. Raises NotFound."""
    own = [end for end in ends if user.casefold() in {end.address.casefold(), end.user_id}]
    if not own:
        raise NotFound(f"{user} is no owner of this mail whose message or command is known")
    return own


def _submitted(row: Submission) -> list[DeliveryEnd]:
    """The recipients of a submission; the first one has the hops of the submission."""
    ends = []
    for number, each in enumerate(row.recipients):
        detail = " ".join(filter(None, (each.code, each.detail)))
        facts = (
            f"to {each.address}: {HELD if row.status == HELD else each.status}",
            f"until {rfc3339(row.fire_at_ms)}" if row.status == HELD else "",
            detail,
            f"by {each.server}" if each.server else "",
            f"{each.attempts} attempts" if each.attempts else "",
            f"next at {rfc3339(each.next_attempt_at_ms)}" if each.next_attempt_at_ms else "",
        )
        ends.append(
            DeliveryEnd(
                state="submitted",
                where=", ".join(filter(None, facts)),
                hops=() if number else row.hops,
                address=each.address,
                user_id=row.user_id,
            )
        )
    return ends


def _not_in_ledger(mail_id: MailId, ends: Sequence[DeliveryEnd]) -> TraceCandidate:
    """The candidate of a mail without `mail.received`: its owner's deposit, or not known."""
    first_hops = [end.hops[0] for end in ends if end.hops and end.hops[0].stage == APPEND]
    if not first_hops:
        return TraceCandidate(mail_id=mail_id, accepted_at_ms=0, states=())
    states = tuple(sorted({end.state for end in ends}))
    at_ms = first_hops[0].started_at_ms
    return TraceCandidate(mail_id=mail_id, accepted_at_ms=at_ms, states=states)


def _headers(messages: Iterable[Message], row: Quarantined | None) -> Iterator[HeaderSummary]:
    yield from (message.head for message in messages)
    if row is not None:
        yield row.head


def _place_in_log(record: LocatedRecord, held: Sequence[HeldPartition]) -> tuple[EndState, str]:
    """State and sentence of a record."""
    position = f"{record.topic} partition {record.partition} offset {record.offset}"
    if record.topic == DEAD_LETTERS:
        letter = f"dead letter {record.partition}-{record.offset}"
        parked = f"{letter}, parked by {record.stage} {rfc3339(record.at_ms)}: {record.cause}"
        return (PASSED, f"{parked} (seen to)") if record.committed else (PARKED, parked)
    if record.committed:
        return PASSED, f"last seen on {position}, passed by {record.stage}: see postriver audit"
    user_id = getattr(record.event, "user_id", "")
    owner = f" for user {user_id}" if user_id else ""
    age_s = max(0, now_ms() - record.at_ms) // 1000
    reason = _held_reason(record, held)
    return WAITING, f"on {position}{owner}, waiting for {record.stage} since {age_s} s{reason}"


def _held_reason(record: LocatedRecord, held: Sequence[HeldPartition]) -> str:
    for partition in held:
        if (partition.topic, partition.partition) == (record.topic, record.partition):
            return f"; held: {partition.engine}, since {rfc3339(partition.since_ms)}"
    return ""
