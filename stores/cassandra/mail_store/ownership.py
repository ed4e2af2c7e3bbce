"""The fence between two writers of one mailbox, without lightweight transactions.

A writer claims the mailbox before its first step: it writes a claim with the next generation, and
reads the claims. If it sees another claim with this generation, it claims the next: of two
writers at least one sees the other's claim, because a quorum that reads meets a quorum that has
written. So a generation belongs to one writer. Only then it reads the journal.

A writer of a group of steps (groups.py) writes its journal entries, and then reads the claims. If
there is none with a higher generation, the next owner had not yet finished its claim, so that owner
will find the entries in the journal. If there is one, this writer stops before it writes any view;
the new owner finishes the group, or replaces it by its own, whose timestamps are higher.
"""

import asyncio
import random
from uuid import uuid4

from mail.errors import Fatal, JournalConflict, StoreUnavailable
from schemas.cql.mail_store import CLAIM, JOURNAL, JOURNAL_SHIFT
from schemas.ids import UserId
from stores.cassandra.mail_store.stamps import GENERATION_MAX, put, stamp_of
from stores.cassandra.mail_store.statements import MailboxStatements
from stores.cassandra.session import CassandraSession

CLAIM_ATTEMPTS = 20
_HIGHEST = CLAIM.select("generation", "LIMIT 1")
_FROM = CLAIM.select("generation, owner", "AND generation >= ?")
_OLDER = "DELETE FROM claim USING TIMESTAMP ? WHERE user_id = ? AND generation < ?"
_STAMPS = JOURNAL.select("WRITETIME(entry)", "AND seq >= ? AND seq <= ?")


class Ownership:
    """The claims of one process."""

    def __init__(self, session: CassandraSession, statements: MailboxStatements) -> None:
        self._session = session
        self._statements = statements
        self._owner = str(uuid4())

    async def claim(self, user_id: UserId, *, seq: int) -> int:
        """Become the writer of the mailbox; return the generation. `seq`: of the stored state.

        Raises Fatal: no generation is left. StoreUnavailable: other writers claim it all the time.
        """
        rows = await self._session.read(_HIGHEST, user_id)
        highest = rows[0][0] if rows else 0
        for attempt in range(CLAIM_ATTEMPTS):
            generation = highest + 1
            if generation > GENERATION_MAX:
                raise Fatal(f"user {user_id}: {GENERATION_MAX} generations are used up")
            claim = put(CLAIM, user_id, generation, self._owner)
            await self._statements.write([claim], seq=seq, generation=generation)
            found = await self._session.read(_FROM, user_id, generation)
            if found == [(generation, self._owner)]:
                await self._forget_older(user_id, seq, generation)
                return generation
            highest = max(row[0] for row in found)
            await asyncio.sleep(random.random() * 0.01 * attempt)  # noqa: S311
        raise StoreUnavailable("cassandra", f"several writers claim user {user_id}")

    async def is_kept(self, user_id: UserId, *, generation: int) -> bool:
        """Whether no other writer has claimed the mailbox since the claim of `generation`."""
        return await self._session.read(_FROM, user_id, generation) == [(generation, self._owner)]

    async def check(self, user_id: UserId, *, first: int, last: int, generation: int) -> None:
        """Check that the entries of the group `first` to `last` are ours, and the mailbox too.

        Raises JournalConflict: another writer has the mailbox now; write no view.
        """
        stamp = stamp_of(first, generation)
        claims, stamps = await asyncio.gather(
            self._session.read(_FROM, user_id, generation),
            self._session.read(_STAMPS, user_id, first >> JOURNAL_SHIFT, first, last),
        )
        if claims != [(generation, self._owner)] or stamps != [(stamp,)] * (last - first + 1):
            raise JournalConflict(user_id, first)

    async def _forget_older(self, user_id: UserId, seq: int, generation: int) -> None:
        older = user_id, generation
        await self._statements.delete(_OLDER, older, seq=seq, generation=generation)
