"""Deposit holders: end the first hold on the contents of deposits (edge/deposits/depositor.py).

A deposit holds its content under the name `deposit` besides the name of its message, because the
edge may be killed before it publishes the command. If the message exists, also as a tombstone, only
the name `deposit` is released. If it does not exist, no record in the log names the mail, its
command is not parked, and the turn before found the same: then every holder of the mail is
released, and the content sweep deletes the content.
Turns are an hour apart by the monotonic clock. An edge publishes within seconds of its hold.

A store or the broker unreachable: Transient, the turn ends, and nothing more is released.
Safe to repeat: releasing a holder again changes nothing.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from agents.ports import DepositHolderPorts
from schemas.holders import DEPOSIT_HOLDER
from schemas.ids import MailId
from schemas.ledger import PARKED

PAGE = 500  # holders


@dataclass(slots=True)
class DepositHolders:
    """The job. `released` counts mails without a message since the start of the process."""

    ports: DepositHolderPorts
    released: int = 0
    _lone: frozenset[MailId] = frozenset()  # that the last turn found without a message

    async def turn(self) -> None:
        """Release the holders that are no longer needed. Raises Transient."""
        lone: list[MailId] = []
        async for page in self._pages():
            lone += await self._without_message(page)
        lone = await self._found_nowhere(lone)
        stale = [mail_id for mail_id in lone if mail_id in self._lone]
        self._lone = frozenset(lone)
        for mail_id in stale:
            rows = await self.ports.holders.list(mail_id)
            await self._release((mail_id, row.holder) for row in rows)
        self.released += len(stale)

    async def _pages(self) -> AsyncIterator[list[MailId]]:
        after = ("", "")
        while page := await self.ports.holders.held_by(DEPOSIT_HOLDER, after=after, limit=PAGE):
            after = page[-1].mail_id, page[-1].holder
            yield [row.mail_id for row in page]

    async def _without_message(self, mail_ids: Sequence[MailId]) -> list[MailId]:
        """The mails that no mailbox has; for the others the holder `deposit` is released."""
        rows = await self.ports.store.by_mails(mail_ids)
        there = {row.mail_id for row in rows}
        await self._release((mail_id, DEPOSIT_HOLDER) for mail_id in sorted(there))
        return [mail_id for mail_id in mail_ids if mail_id not in there]

    async def _found_nowhere(self, mail_ids: Sequence[MailId]) -> list[MailId]:
        """Those of `mail_ids` that are neither in the log, nor parked, nor in a mailbox since."""
        if not mail_ids:
            return []
        waiting = await self.ports.in_flight.waiting(mail_ids)
        letters = await self.ports.dead_letters.since(0)
        known = {letter.mail_id for letter in letters if letter.state == PARKED} | waiting.keys()
        lone = [mail_id for mail_id in mail_ids if mail_id not in known]
        nowhere: list[MailId] = []
        for first in range(0, len(lone), PAGE):
            nowhere += await self._without_message(lone[first : first + PAGE])
        return nowhere

    async def _release(self, holders: Iterable[tuple[MailId, str]]) -> None:
        if pairs := list(holders):
            await self.ports.holders.release_all(pairs)
