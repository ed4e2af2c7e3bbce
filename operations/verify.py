"""Every copy of a mailbox held against its journal: views, contents, holders, index; while live.

A user's mailbox is read in one moment; what lies in other stores, a moment later. What differs only
because it is on its way (a release, a document not indexed yet) is gone at the next look.
"""

import asyncio
import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mail.errors import ContentMissing
from mail.ids import holder_of
from mail.ports import ContentStore, Holders, MailStore, SearchIndex
from schemas.consistency import (
    CONTENT,
    HOLDERS,
    INDEX,
    ConsistencyReport,
    ExpectedMessage,
    ViewDifference,
)

T = TypeVar("T")
LOOKS = 3
SAMPLE = 20  # contents of a mailbox that are read whole, unless all are
_STEP = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxVerifier:
    """What it looks into. `all_contents`: read every content, not a sample."""

    store: MailStore
    contents: ContentStore
    holders: Holders
    search: SearchIndex
    all_contents: bool = False
    pause_s: float = 2.0  # between looks

    async def differences(self, user_id: str) -> tuple[int, list[ViewDifference]]:
        """Number of messages, and what still differs at the last look."""
        for _ in range(LOOKS - 1):
            messages, found = await self._look(user_id)
            if not found:
                return messages, found
            await asyncio.sleep(self.pause_s)
        return await self._look(user_id)

    async def _look(self, user_id: str) -> tuple[int, list[ViewDifference]]:
        checked = await self.store.check(user_id)
        live = [kept for kept in checked.messages if not kept.destroyed]
        found = [*checked.differences]
        found += await self._absent(live)
        found += await self._damaged(self._sample(live))
        found += await self._held(user_id, checked)
        found += await self._indexed(user_id, checked)
        return len(live), found

    async def _absent(self, live: Sequence[ExpectedMessage]) -> list[ViewDifference]:
        by_ref = {kept.content.ref: kept for kept in live}
        gone = [ref for some in _steps(list(by_ref)) for ref in await self.contents.absent(some)]
        return [
            ViewDifference(CONTENT, f"message {by_ref[ref].message_id}: content {ref} is not there")
            for ref in gone
        ]

    def _sample(self, live: Sequence[ExpectedMessage]) -> Sequence[ExpectedMessage]:
        if self.all_contents or len(live) <= SAMPLE:
            return live
        return random.sample(live, SAMPLE)

    async def _damaged(self, some: Sequence[ExpectedMessage]) -> list[ViewDifference]:
        """Of those that are there."""
        found = []
        for kept in some:
            try:
                content = await self.contents.get(kept.content.ref)
            except ContentMissing:
                continue
            sha256 = await asyncio.to_thread(lambda raw: hashlib.sha256(raw).hexdigest(), content)
            if (len(content), sha256) != (kept.content.size_bytes, kept.content.sha256):
                what = f"message {kept.message_id}: content {kept.content.ref} is damaged"
                found.append(ViewDifference(CONTENT, what))
        return found

    async def _held(self, user_id: str, checked: ConsistencyReport) -> list[ViewDifference]:
        found = []
        for kept in checked.messages:
            held = {holder.holder for holder in await self.holders.of(kept.mail_id)}
            is_held = holder_of(kept.mail_id, user_id, kept.message_id) in held
            if is_held is kept.destroyed:
                wrong = "destroyed, and holds" if kept.destroyed else "does not hold"
                what = f"message {kept.message_id}: {wrong} content {kept.content.ref}"
                found.append(ViewDifference(HOLDERS, what))
        return found

    async def _indexed(self, user_id: str, checked: ConsistencyReport) -> list[ViewDifference]:
        """Every live message, and no destroyed one."""
        found = []
        for some in _steps(checked.messages):
            known = await self.search.indexed(user_id, [kept.message_id for kept in some])
            for kept in some:
                if (kept.message_id in known) is kept.destroyed:
                    wrong = "destroyed, and still indexed" if kept.destroyed else "is not indexed"
                    found.append(ViewDifference(INDEX, f"message {kept.message_id}: {wrong}"))
        return found


def _steps(every: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(every), _STEP):
        yield every[start : start + _STEP]
