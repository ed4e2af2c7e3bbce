"""fold: what the change feed need not tell any more goes into snapshots.

Reads and writes the mail store only. Mailboxes whose first entry is older than the horizon are
found by an index, so that a turn costs what is due and nothing for the rest. Each call folds a
bounded piece, between the mailboxes' own commits.
Safe to repeat, beside the writer, and by several at once.
The store unreachable: Transient, the rest is folded at the next turn.
"""

from mail.ports import MailStore

MAILBOXES_MAX = 100  # found at once


async def fold(store: MailStore, *, before_ms: int) -> int:
    """Fold every entry from before `before_ms`; how many there were."""
    folded = 0
    while user_ids := await store.foldable(before_ms=before_ms, limit=MAILBOXES_MAX):
        for user_id in user_ids:
            while count := await store.fold(user_id, before_ms=before_ms):
                folded += count
    return folded
