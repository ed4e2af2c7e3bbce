"""Compare the message rows of a mailbox with the records of its journal, page by page.

Every expected row is handed on in the orders that the other parts need.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from mail.mailbox import consistency_check as rules
from mail.mailbox import correspondents as correspondent_rules
from mail.mailbox.counts import Recount
from mail.mailbox.threads import thread_keys
from schemas.consistency import LISTS, ViewDifference
from schemas.correspondents import Correspondent
from schemas.cql.mail_store import ID_BUCKETS, MESSAGE, MESSAGE_ID
from schemas.ids import DomainId, MessageId, ThreadId, UserId
from schemas.mail import HeaderSummary
from schemas.mailbox import Message
from schemas.snapshot import MessageRecord
from stores.cassandra.mail_store.check.findings import LACKING_MAX, CheckFindings, LaterSteps
from stores.cassandra.mail_store.check.lists import ExpectedKey
from stores.cassandra.mail_store.check.threads import BindingKey, MemberKey
from stores.cassandra.mail_store.commit_plan import message_rows
from stores.cassandra.mail_store.lists import rows_of
from stores.cassandra.mail_store.mailbox_reads import MailboxReads
from stores.cassandra.mail_store.stamps import RowWrite, delete
from stores.sorted_rows import SortedRows

PAGE = 200  # messages in memory
T = TypeVar("T")


class ExpectedRows:
    """What follows from the expected message rows, in the orders of the stored rows."""

    def __init__(self, stack: ExitStack, run_max: int) -> None:
        def rows(kind: Any) -> Any:
            return stack.enter_context(SortedRows(kind, run_max=run_max))

        self.lists: SortedRows[ExpectedKey, tuple[Any, ...]] = rows(
            tuple[tuple[str, int, tuple[Any, ...]], tuple[Any, ...]]
        )
        self.members: SortedRows[MemberKey, Message] = rows(tuple[MemberKey, Message])
        self.bindings: SortedRows[BindingKey, ThreadId] = rows(tuple[BindingKey, str])
        self.correspondents: SortedRows[tuple[str, int], Correspondent] = rows(
            tuple[tuple[str, int], Correspondent]
        )

    def add(self, row: Message) -> None:
        for key, values in rows_of(row).items():
            self.lists.add((key.list, key.bucket, key.position), values)
        for thread_key in thread_keys(row.head):
            self.bindings.add((thread_key, row.created_seq), row.thread_id)
        for address, one in correspondent_rules.counted(None, row).items():
            self.correspondents.add((address, row.created_seq), one)
        head = HeaderSummary(has_attachments=row.head.has_attachments)
        member = msgspec.structs.replace(row, head=head, hops=())
        self.members.add((row.thread_id, row.created_seq, row.message_id), member)


@dataclass(slots=True, kw_only=True)
class MessageCheck:
    """Compares the message rows of one mailbox. `heads`: header summaries of lost rows."""

    reads: MailboxReads
    user_id: UserId
    domain_id: DomainId
    heads: Mapping[MessageId, HeaderSummary]
    found: CheckFindings
    later: LaterSteps
    expected: ExpectedRows
    recount: Recount

    async def run(self, records: AsyncIterator[MessageRecord]) -> bool:
        """Return whether all rows were compared. False: header summaries are needed first."""
        page: list[tuple[MessageId, MessageRecord | None]] = []
        async for each in _merged(records, self._stored_ids()):
            page.append(each)
            if len(page) == PAGE:
                await self._page(page)
                page = []
            if len(self.found.lacking) >= LACKING_MAX:
                return False
        await self._page(page)
        return not self.found.lacking

    async def _stored_ids(self) -> AsyncIterator[MessageId]:
        for bucket in ID_BUCKETS:
            after = ""
            while ids := await self.reads.ids_after(self.user_id, bucket, after, PAGE):
                for id_ in ids:
                    yield id_
                after = ids[-1]

    async def _page(self, page: Sequence[tuple[MessageId, MessageRecord | None]]) -> None:
        stored = await self.reads.readable(self.user_id, [id_ for id_, _ in page])
        differing: list[_Differing] = []
        for id_, record in page:
            if record is None:
                if id_ in stored:
                    differing.append(self._without_record(id_, stored[id_]))
                continue
            self.recount.move(None, record)
            row = stored.get(id_)
            if row is None:
                differing += await self._lost(record, is_damaged=id_ in stored)
                continue
            expected = rules.expected_row(record, row)
            self.expected.add(expected)
            if differences := rules.row_differences(id_, record, row):
                differing.append(_Differing(id_, differences, message_rows(expected, row)))
        unchanged = await self.later.unchanged([one.message_id for one in differing])
        for one in differing:
            if one.message_id in unchanged:
                await self.found.add(LISTS, one.differences, one.repairs)

    def _without_record(self, id_: MessageId, row: Message | None) -> "_Differing":
        repairs = [
            delete(MESSAGE, self.user_id, id_),
            delete(MESSAGE_ID, self.user_id, id_[:1], id_),
        ]
        return _Differing(id_, rules.row_differences(id_, None, row), repairs)

    async def _lost(self, record: MessageRecord, *, is_damaged: bool) -> "list[_Differing]":
        """A row that is missing, or cannot be read; nothing if its header summary is needed."""
        id_, message = record.message_id, rules.expected_message(record)
        head = self.heads.get(id_)
        if head is None and not record.destroyed and self.found.is_repaired(LISTS):
            self.found.lacking.append(message)
            return []
        self.found.findings.lost([message])
        head = head or HeaderSummary()
        bound = await self.reads.bound(self.user_id, thread_keys(head))
        row = rules.rebuilt_row(
            record, user_id=self.user_id, domain_id=self.domain_id, head=head, bound=bound
        )
        self.expected.add(row)
        differences = [rules.missing_row(id_)]
        if is_damaged:
            differences = rules.row_differences(id_, record, None)
        return [_Differing(id_, differences, message_rows(row, None))]


@dataclass(frozen=True, slots=True)
class _Differing:
    message_id: MessageId
    differences: list[ViewDifference]
    repairs: list[RowWrite]


async def _merged(
    records: AsyncIterator[MessageRecord], ids: AsyncIterator[MessageId]
) -> AsyncIterator[tuple[MessageId, MessageRecord | None]]:
    """Every message id of both, in order, with its record."""
    record, id_ = await _next(records), await _next(ids)
    while record is not None or id_ is not None:
        if record is None or (id_ is not None and id_ < record.message_id):
            assert id_ is not None
            yield id_, None
            id_ = await _next(ids)
        else:
            yield record.message_id, record
            if id_ == record.message_id:
                id_ = await _next(ids)
            record = await _next(records)


async def _next(rows: AsyncIterator[T]) -> T | None:
    return await anext(rows, None)
