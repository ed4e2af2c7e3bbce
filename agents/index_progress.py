"""Progress of the search index: up to which seq it holds every message of a mailbox.

Events are handled in no order, so no single event says how far the index has come. Instead the
messages that changed since the last mark are compared with the index (mail/search/unindexed.py),
and the mark is raised to the mailbox's seq, or to the seq before the first message that is lacking.
A look costs one more write of a bucket. It is due after CHANGES_PER_LOOK changed messages of a
mailbox, and for a created message if the last look is LOOK_INTERVAL_S ago: searches decide the
messages in between by themselves. While a message stays lacking, looks become rarer.
"""

import time
from dataclasses import dataclass, field

from mail.ports import MailStore, SearchIndex
from mail.search.unindexed import Lacking, lacking
from schemas.ids import MessageId, UserId
from schemas.search import IndexedTo

CHANGES_PER_LOOK = 64
CHANGES_PER_LOOK_MAX = 8_192
LOOK_INTERVAL_S = 3600.0
LAGGING_S = 600.0  # a message that is lacking for so long is added by the backfill
ROWS_MAX = 500  # of lacking messages that are read to find the first
CHECKED_MAX = 1_000_000  # more messages than a mailbox has


@dataclass(slots=True)
class _Looks:
    """The looks at one mailbox by this process."""

    changes: int = 0  # since the last look
    due_at: int = CHANGES_PER_LOOK  # changes
    looked_s: float = float("-inf")
    lacking_since_s: float | None = None  # None: the last look raised the mark


@dataclass(slots=True)
class IndexProgress:
    """When to look at which mailbox, by this process."""

    _by_user: dict[UserId, _Looks] = field(default_factory=dict)

    def begin_look(self, user_id: UserId, *, created: int, changed: int) -> bool:
        """Count changed messages, of which `created` are new; return whether a look is due."""
        looks = self._by_user.setdefault(user_id, _Looks())
        looks.changes += changed
        now_s = time.monotonic()
        is_late = created > 0 and now_s - looks.looked_s > LOOK_INTERVAL_S
        if looks.changes < looks.due_at and not is_late:
            return False
        looks.changes, looks.looked_s = 0, now_s
        return True

    def end_look(self, user_id: UserId, *, raised: bool) -> None:
        """Record the result of a look."""
        looks = self._by_user.setdefault(user_id, _Looks())
        if raised:
            looks.due_at, looks.lacking_since_s = CHANGES_PER_LOOK, None
            return
        looks.due_at = min(2 * looks.due_at, CHANGES_PER_LOOK_MAX)
        if looks.lacking_since_s is None:
            looks.lacking_since_s = time.monotonic()

    def lagging(self) -> list[UserId]:
        """Return the mailboxes whose mark has not risen for LAGGING_S."""
        limit_s = time.monotonic() - LAGGING_S
        return [
            user_id
            for user_id, looks in self._by_user.items()
            if looks.lacking_since_s is not None and looks.lacking_since_s < limit_s
        ]


async def look(user_id: UserId, store: MailStore, search: SearchIndex) -> bool:
    """Raise the mark of a mailbox as far as the index holds every message; whether it is raised."""
    lacked = await lacking(search, store, user_id, checked_max=CHECKED_MAX)
    if lacked.now == lacked.since:
        return True
    to = lacked.now if not lacked.message_ids else await _before_first(user_id, lacked, store)
    before_seq = lacked.since.seq if lacked.since.epoch == lacked.now.epoch else 0
    if to is None or to.seq <= before_seq:
        return False
    await search.mark_indexed(user_id, to)
    return True


async def _before_first(user_id: UserId, lacked: Lacking, store: MailStore) -> IndexedTo | None:
    """Return the moment before the first of the lacking messages; None: they are too many."""
    if len(lacked.message_ids) > ROWS_MAX:
        return None
    message_ids: tuple[MessageId, ...] = lacked.message_ids
    rows = await store.messages(user_id, message_ids)
    first = min((row.created_seq for row in rows.values()), default=lacked.now.seq + 1)
    return IndexedTo(lacked.now.epoch, first - 1)
