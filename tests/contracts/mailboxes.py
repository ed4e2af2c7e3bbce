"""A mailbox as `mailbox` would lead it: it makes commits that follow on each other."""

import msgspec

from mail import ids
from mail.ports import Commit
from schemas.content import Stored
from schemas.events import Delivered, MailboxChanged, Position
from schemas.mail import Head, Hop, Mailbox, Verdict
from schemas.mailbox import FLAGGED, SEEN, FolderCounts, MailboxState, Message

HOPS = (Hop(stage="scan", started_at_ms=5, took_ms=1.5, verdict="clean", attempt=1, worker="w"),)
VERDICT = Verdict(outcome="clean", signatures="local 1", spam_tests=("A", "B"), spam_score=0.5)
NOON_MS = 1_700_000_000_000


class Writer:
    """The one writer of one user's mailbox. `messages` and `entries` are what must be stored."""

    def __init__(self, user_id: str = "ann") -> None:
        self.user_id = user_id
        self.state = MailboxState()
        self.messages: dict[str, Message] = {}
        self.entries: list[MailboxChanged] = []

    def deliver(
        self,
        name: str,
        *,
        at_ms: int = NOON_MS,
        folder: str = "inbox",
        keywords: tuple[str, ...] = (),
    ) -> Commit:
        """A message whose ids follow from `name`."""
        mail_id = ids.derived_id(name)
        message = Message(
            message_id=ids.message_id(mail_id, self.user_id),
            user_id=self.user_id,
            domain_id="domain",
            mail_id=mail_id,
            places={folder: self._counts(folder).next_uid},
            keywords=keywords,
            created_seq=self.state.seq + 1,
            changed_seq=self.state.seq + 1,
            received_at_ms=at_ms,
            content=Stored(mail_id, 1234, "0" * 64),
            head=Head(subject=f"제목 {name}", sender=Mailbox("Ann", "ann@example.org")),
            verdict=VERDICT,
            hops=HOPS,
        )
        return self._commit("created", None, message)

    def mark(self, name: str, *keywords: str) -> Commit:
        """Its keywords become `keywords`."""
        before = self.row(name)
        return self._commit("updated", before, self._after(before, keywords=keywords))

    def move(self, name: str, *folders: str) -> Commit:
        before = self.row(name)
        places = {folder: self._counts(folder).next_uid for folder in folders}
        return self._commit("updated", before, self._after(before, places=places))

    def destroy(self, name: str) -> Commit:
        before = self.row(name)
        after = self._after(before, places={}, keywords=(), destroyed=True)
        return self._commit("destroyed", before, after)

    def row(self, name: str) -> Message:
        return self.messages[self.id(name)]

    def id(self, name: str) -> str:
        return ids.message_id(ids.derived_id(name), self.user_id)

    def listed(self, folder: str = "inbox", *, unread: bool | None = None) -> list[str]:
        """Ids in the order that a list must have, by a way of its own."""
        rows = [row for row in self.messages.values() if folder in row.places]
        shown = [row for row in rows if unread is None or (SEEN not in row.keywords) == unread]
        by_id = sorted(shown, key=lambda row: row.message_id, reverse=True)
        by_arrival = sorted(by_id, key=lambda row: -row.received_at_ms)
        return [row.message_id for row in by_arrival]

    def recount(self, folder: str) -> tuple[int, int]:
        """Total and unread, counted anew."""
        return len(self.listed(folder)), len(self.listed(folder, unread=True))

    def _counts(self, folder: str) -> FolderCounts:
        return self.state.folders.get(folder, FolderCounts(folder))

    def _after(self, before: Message, **changes: object) -> Message:
        return msgspec.structs.replace(before, changed_seq=self.state.seq + 1, **changes)

    def _commit(self, change: str, before: Message | None, after: Message) -> Commit:
        seq = self.state.seq + 1
        self.messages[after.message_id] = after
        touched = sorted({*after.places, *(before.places if before else ())})
        folders = {folder: self._recounted(folder, after) for folder in touched}
        entry = MailboxChanged(
            user_id=self.user_id,
            domain_id="domain",
            seq=seq,
            command_id=ids.derived_id(self.user_id, "command", str(seq)),
            position=Position("epoch", 3, seq * 2),
            change=change,
            message_id=after.message_id,
            places=after.places,
            keywords=after.keywords,
            folders=tuple(folders.values()),
            at_ms=NOON_MS,
            delivered=_delivered(after) if change == "created" else None,
        )
        self.entries.append(entry)
        self.state = MailboxState(
            seq=seq,
            epoch="epoch",
            partition=3,
            offset=seq * 2,
            folders=self.state.folders | folders,
        )
        return Commit(entry=entry, message=after, state=self.state)

    def _recounted(self, folder: str, after: Message) -> FolderCounts:
        total, unread = self.recount(folder)
        next_uid = max(self._counts(folder).next_uid, after.places.get(folder, 0) + 1)
        return FolderCounts(folder, total, unread, next_uid)


def another_command(commit: Commit) -> Commit:
    """What a second writer would commit at the same seq."""
    entry = msgspec.structs.replace(commit.entry, command_id=ids.derived_id("somebody", "else"))
    return msgspec.structs.replace(commit, entry=entry)


def gap(commit: Commit) -> Commit:
    """The same, one step too late."""
    seq = commit.entry.seq + 1
    return Commit(
        entry=msgspec.structs.replace(commit.entry, seq=seq),
        message=msgspec.structs.replace(commit.message, changed_seq=seq),
        state=msgspec.structs.replace(commit.state, seq=seq),
    )


def used_command(commit: Commit) -> Commit:
    """The same, under the id of its user's first command."""
    first = ids.derived_id(commit.entry.user_id, "command", "1")
    return msgspec.structs.replace(
        commit, entry=msgspec.structs.replace(commit.entry, command_id=first)
    )


def seen_and_flagged(*, seen: bool, flagged: bool) -> tuple[str, ...]:
    return ((FLAGGED,) if flagged else ()) + ((SEEN,) if seen else ())


def _delivered(row: Message) -> Delivered:
    return Delivered(
        mail_id=row.mail_id,
        content=row.content,
        received_at_ms=row.received_at_ms,
        verdict=row.verdict,
        hops=row.hops,
    )
