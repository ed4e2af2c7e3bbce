"""verify: compare views, contents, outlines, holders and index of a mailbox with its journal.

The owner's uploads are compared with contents and holders.
Runs while Postriver runs. The mail store is read in one transaction, the other stores after it.
Each mailbox is checked up to CHECKS times: a difference that exists only because a change is under
way (a release, a document that is not indexed yet) is gone at the next check.
"""

import asyncio
import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mail.clock import now_ms
from mail.errors import ContentMissing
from mail.ids import holder_of, upload_holder
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

T = TypeVar("T")
CHECKS = 3
SAMPLE = 20  # contents of a mailbox that are read whole, unless `all_contents`
_BATCH = 1_000  # messages asked for in one call of a store


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

    async def differences(self, user_id: UserId) -> tuple[int, list[ViewDifference]]:
        """Return the number of messages, and the differences that the last check found."""
        for _ in range(CHECKS - 1):
            messages, differences = await self._check(user_id)
            if not differences:
                return messages, differences
            await asyncio.sleep(self.pause_s)
        return await self._check(user_id)

    async def _check(self, user_id: UserId) -> tuple[int, list[ViewDifference]]:
        report = await self.store.check(user_id)
        live = [message for message in report.messages if not message.destroyed]
        differences = [*report.differences]
        differences += await self._absent_contents(live)
        differences += await self._damaged_contents(self._sample(live))
        differences += await self._holder_differences(user_id, report)
        differences += await self._index_differences(user_id, report)
        differences += await self._upload_differences(user_id)
        return len(live), differences

    async def _absent_contents(self, live: Sequence[ExpectedMessage]) -> list[ViewDifference]:
        by_ref = {message.content.ref: message for message in live}
        absent = [
            ref for batch in _batches(list(by_ref)) for ref in await self.contents.missing(batch)
        ]
        return [
            ViewDifference(CONTENT, f"message {by_ref[ref].message_id}: content {ref} is not there")
            for ref in absent
        ]

    def _sample(self, live: Sequence[ExpectedMessage]) -> Sequence[ExpectedMessage]:
        if self.all_contents or len(live) <= SAMPLE:
            return live
        return random.sample(live, SAMPLE)

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
        self, user_id: UserId, report: ConsistencyReport
    ) -> list[ViewDifference]:
        """Every live message must hold its content, and no destroyed message may."""
        differences = []
        for message in report.messages:
            held = {holder.holder for holder in await self.holders.list(message.mail_id)}
            is_held = holder_of(message.mail_id, user_id, message.message_id) in held
            if is_held is message.destroyed:
                fault = "destroyed, and holds" if message.destroyed else "does not hold"
                what = f"message {message.message_id}: {fault} content {message.content.ref}"
                differences.append(ViewDifference(HOLDERS, what))
        return differences

    async def _index_differences(
        self, user_id: UserId, report: ConsistencyReport
    ) -> list[ViewDifference]:
        """Every live message must be in the index, and no destroyed message may."""
        differences = []
        for batch in _batches(report.messages):
            ids = [message.message_id for message in batch]
            indexed = await self.search.indexed(user_id, ids)
            for message in batch:
                if (message.message_id in indexed) is message.destroyed:
                    fault = (
                        "destroyed, and still indexed" if message.destroyed else "is not indexed"
                    )
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


def _batches(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), _BATCH):
        yield rows[start : start + _BATCH]
