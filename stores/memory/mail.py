"""MailStore in memory, in the steps of a store without transactions: journal, row, state.

A commit's journal step keeps the whole Commit beside the entry as pending, since an entry alone
holds no Head; when row and state are written, the pending Commit goes and the entry stays. So a
crash between any two steps leaves something that `load` and a repeated `commit` can finish.
A row or state is never replaced by an older one (by seq): late steps of a lost owner do no harm.
"""

from collections.abc import Iterable, Iterator, Sequence

from mail.errors import JournalConflict
from mail.ports import Commit, MailStore
from schemas.events import MailboxChanged
from schemas.mailbox import FolderCounts, MailboxState, Message, Page
from stores import commits
from stores.cursors import check_limit, decode_cursor, encode_cursor, list_scope
from stores.memory.faults import Fault, no_fault, take_step


class _Mailbox:
    """One user's part of the store."""

    def __init__(self) -> None:
        self.journal: list[MailboxChanged] = []  # seq 1 at index 0
        self.commands: dict[str, MailboxChanged] = {}
        self.pending: dict[int, Commit] = {}
        self.messages: dict[str, Message] = {}
        self.state = MailboxState()

    def at(self, seq: int) -> MailboxChanged | None:
        return self.journal[seq - 1] if 0 < seq <= len(self.journal) else None


class MemoryMailStore(MailStore):
    """Steps that `fault` meets: read, journal, row, state."""

    def __init__(self, *, fault: Fault = no_fault) -> None:
        self.fault = fault
        self._mailboxes: dict[str, _Mailbox] = {}

    async def load(self, user_id: str) -> MailboxState:
        await take_step(self.fault, "read")
        await self._finish(user_id)
        return self._of(user_id).state

    async def commit(self, commit: Commit) -> None:
        commits.check_whole(commit)
        await take_step(self.fault, "journal")
        self._journal(commit)
        await self._finish(commit.entry.user_id)

    async def by_command(self, user_id: str, command_id: str) -> MailboxChanged | None:
        await take_step(self.fault, "read")
        return self._of(user_id).commands.get(command_id)

    async def message(self, user_id: str, message_id: str) -> Message | None:
        await take_step(self.fault, "read")
        return self._of(user_id).messages.get(message_id)

    async def messages(self, user_id: str, message_ids: Sequence[str]) -> dict[str, Message]:
        await take_step(self.fault, "read")
        rows = self._of(user_id).messages
        found = {id_: rows[id_] for id_ in message_ids if id_ in rows}
        return {id_: row for id_, row in found.items() if not row.destroyed}

    async def folders(self, user_id: str) -> tuple[FolderCounts, ...]:
        await take_step(self.fault, "read")
        return commits.all_folders(self._of(user_id).state)

    async def page(
        self, user_id: str, folder_id: str, *, unread: bool | None, limit: int, cursor: str | None
    ) -> Page:
        check_limit(limit)
        scope = list_scope(user_id, folder_id, unread)
        place = decode_cursor(cursor, *scope) if cursor is not None else None
        await take_step(self.fault, "read")
        rows = sorted(self._listed(user_id, folder_id, unread), key=_order, reverse=True)
        rest = [row for row in rows if place is None or _order(row) < place]
        shown = tuple(rest[:limit])
        more = len(rest) > limit
        return Page(shown, encode_cursor(_order(shown[-1]), *scope) if more else None)

    async def journal(self, user_id: str, *, since_seq: int, limit: int) -> list[MailboxChanged]:
        await take_step(self.fault, "read")
        return self._of(user_id).journal[max(since_seq, 0) :][:limit]

    async def by_mail(self, mail_id: str) -> list[Message]:
        return sorted(await self.by_mails([mail_id]), key=lambda row: row.user_id)

    async def by_mails(self, mail_ids: Iterable[str]) -> list[Message]:
        wanted = frozenset(mail_ids)
        await take_step(self.fault, "read")
        rows = [row for box in self._mailboxes.values() for row in box.messages.values()]
        return [row for row in rows if row.mail_id in wanted]

    def _of(self, user_id: str) -> _Mailbox:
        return self._mailboxes.get(user_id) or _Mailbox()

    def _journal(self, commit: Commit) -> None:
        entry = commit.entry
        box = self._mailboxes.setdefault(entry.user_id, _Mailbox())
        if commits.is_repeated(entry, last_seq=len(box.journal), journalled=box.at(entry.seq)):
            return
        if entry.command_id in box.commands:
            raise JournalConflict(entry.user_id, entry.seq)
        box.pending[entry.seq] = commit
        box.journal.append(entry)
        box.commands[entry.command_id] = entry

    async def _finish(self, user_id: str) -> None:
        """Bring row and state up to the journal, oldest entry first."""
        box = self._of(user_id)
        for seq in sorted(box.pending):
            commit = box.pending.get(seq)
            if commit is not None:
                await self._views(box, commit)
                box.pending.pop(seq, None)

    async def _views(self, box: _Mailbox, commit: Commit) -> None:
        await take_step(self.fault, "row")
        row, known = commit.message, box.messages.get(commit.message.message_id)
        if known is None or known.changed_seq < row.changed_seq:
            box.messages[row.message_id] = row
        await take_step(self.fault, "state")
        if box.state.seq < commit.state.seq:
            box.state = commit.state

    def _listed(
        self,
        user_id: str,
        folder_id: str,
        unread: bool | None,  # noqa: FBT001 the filter itself
    ) -> Iterator[Message]:
        for row in self._of(user_id).messages.values():
            shown = unread is None or commits.is_unread(row.keywords) == unread
            if shown and folder_id in row.places and not row.destroyed:
                yield row


def _order(row: Message) -> tuple[int, str]:
    return row.received_at_ms, row.message_id
