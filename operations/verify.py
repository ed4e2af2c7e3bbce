"""verify: compare views, contents, outlines, holders and index of a mailbox with its journal.

The owner's uploads are compared with contents and holders.
Runs while Postriver runs. The mail store compares itself first. Then its rows are read page by
page, and each page is compared with the other stores: memory does not grow with the mailbox.
Each mailbox is checked up to CHECKS times: a difference that exists only because a change is under
way (a release, a document that is not indexed yet) is gone at the next check.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field

from mail.clock import now_ms
from mail.errors import ContentMissing
from mail.ids import holder_of, upload_holder
from mail.mailbox.consistency_check import Findings
from mail.pagination import PAGE_MAX
from mail.ports import ContentStore, Holders, MailStore, OutlineStore, Parser, SearchIndex, Uploads
from schemas.consistency import (
    CONTENT,
    HOLDERS,
    INDEX,
    OUTLINES,
    ConsistencyReport,
    ExpectedMessage,
    ViewDifference,
)
from schemas.ids import MailId, UserId

CHECKS = 3
SAMPLE = 20  # contents of a mailbox that are read whole, unless `all_contents`


@dataclass(slots=True)
class Sample:
    """A random sample of at most SAMPLE messages; each is as likely to be in it."""

    messages: list[ExpectedMessage] = field(default_factory=list)
    _seen: int = 0

    def add(self, messages: Iterable[ExpectedMessage]) -> None:
        for message in messages:
            self._seen += 1
            if len(self.messages) < SAMPLE:
                self.messages.append(message)
            elif (place := secrets.randbelow(self._seen)) < SAMPLE:
                self.messages[place] = message


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxVerifier:
    """Verifies mailboxes.

    `all_contents`: read every content, not a sample of SAMPLE, and compare its outline.
    """

    store: MailStore
    contents: ContentStore
    outlines: OutlineStore
    parser: Parser
    holders: Holders
    search: SearchIndex
    uploads: Uploads
    all_contents: bool = False
    pause_s: float = 2.0  # between checks

    async def verify(self, user_id: UserId) -> tuple[int, ConsistencyReport]:
        """Return the number of messages, and what the last check found."""
        for _ in range(CHECKS - 1):
            messages, found = await self._check(user_id)
            if not found.number:
                return messages, found
            await asyncio.sleep(self.pause_s)
        return await self._check(user_id)

    async def _check(self, user_id: UserId) -> tuple[int, ConsistencyReport]:
        report, findings, sample = await self.store.check(user_id), Findings(), Sample()
        findings.add(report.differences, more=report.more)
        messages = 0
        async for page in self._pages(user_id, report):
            live = [message for message in page if not message.destroyed]
            messages += len(live)
            findings.add(await self._absent_contents(live))
            if self.all_contents:
                findings.add(await self._damaged_contents(live))
            findings.add(await self._holder_differences(user_id, page))
            findings.add(await self._index_differences(user_id, page))
            sample.add(live)
        if not self.all_contents:
            findings.add(await self._damaged_contents(sample.messages))
        findings.add(await self._upload_differences(user_id))
        return messages, findings.report

    async def _pages(
        self, user_id: UserId, report: ConsistencyReport
    ) -> AsyncIterator[Sequence[ExpectedMessage]]:
        """All messages of the mailbox, in parts: those with a row, then those without."""
        after = ""
        while rows := await self.store.rows_after(user_id, after_id=after, limit=PAGE_MAX):
            yield [
                ExpectedMessage(row.message_id, row.mail_id, row.content, row.destroyed)
                for row in rows
            ]
            after = rows[-1].message_id
        if report.without_row:
            yield report.without_row

    async def _absent_contents(self, live: Sequence[ExpectedMessage]) -> list[ViewDifference]:
        by_ref = {message.content.ref: message for message in live}
        return [
            ViewDifference(CONTENT, f"message {by_ref[ref].message_id}: content {ref} is not there")
            for ref in await self.contents.missing(by_ref)
        ]

    async def _damaged_contents(self, sample: Sequence[ExpectedMessage]) -> list[ViewDifference]:
        """Compare size, SHA-256 and outline of the contents; an absent content is skipped."""
        differences = []
        for message in sample:
            try:
                content = await self.contents.get(message.content.ref)
            except ContentMissing:
                continue
            sha256 = await asyncio.to_thread(lambda raw: hashlib.sha256(raw).hexdigest(), content)
            if (len(content), sha256) != (message.content.size_bytes, message.content.sha256):
                what = f"message {message.message_id}: content {message.content.ref} is damaged"
                differences.append(ViewDifference(CONTENT, what))
            elif self.all_contents:
                differences += await self._outline_differences(message, content)
        return differences

    async def _outline_differences(
        self, message: ExpectedMessage, content: bytes
    ) -> list[ViewDifference]:
        """Compare the stored outline with the outline of `content`."""
        stored = (await self.outlines.get([message.mail_id])).get(message.mail_id)
        if stored == await self.parser.outline(content):
            return []
        fault = "is missing" if stored is None else "differs from its content"
        what = f"message {message.message_id}: outline of mail {message.mail_id} {fault}"
        return [ViewDifference(OUTLINES, what)]

    async def _holder_differences(
        self, user_id: UserId, messages: Iterable[ExpectedMessage]
    ) -> list[ViewDifference]:
        """Every live message must hold its content, and no destroyed message may."""
        differences = []
        for message in messages:
            held = {holder.holder for holder in await self.holders.list(message.mail_id)}
            is_held = holder_of(message.mail_id, user_id, message.message_id) in held
            if is_held is message.destroyed:
                fault = "destroyed, and holds" if message.destroyed else "does not hold"
                what = f"message {message.message_id}: {fault} content {message.content.ref}"
                differences.append(ViewDifference(HOLDERS, what))
        return differences

    async def _index_differences(
        self, user_id: UserId, messages: Sequence[ExpectedMessage]
    ) -> list[ViewDifference]:
        """Every live message must be in the index, and no destroyed message may."""
        indexed = await self.search.indexed(user_id, [one.message_id for one in messages])
        differences = []
        for message in messages:
            if (message.message_id in indexed) is message.destroyed:
                fault = "destroyed, and still indexed" if message.destroyed else "is not indexed"
                what = f"message {message.message_id}: {fault}"
                differences.append(ViewDifference(INDEX, what))
        return differences

    async def _upload_differences(self, user_id: UserId) -> list[ViewDifference]:
        """Every finished upload must have a content, and hold it."""
        rows = await self.uploads.uploads(user_id, now_ms=now_ms())
        absent = set(await self.contents.missing(row.upload_id for row in rows))
        differences = []
        for row in rows:
            held = {each.holder for each in await self.holders.list(MailId(row.upload_id))}
            if row.upload_id in absent:
                what = f"upload {row.upload_id}: its content is not there"
                differences.append(ViewDifference(CONTENT, what))
            if upload_holder(user_id, row.upload_id) not in held:
                what = f"upload {row.upload_id}: does not hold its content"
                differences.append(ViewDifference(HOLDERS, what))
        return differences
