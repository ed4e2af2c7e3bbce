"""A mailbox as `mailbox` would lead it: it makes commits that follow on each other."""

import itertools

import msgspec

from mail import ids
from mail.ports import Commit
from schemas.content import Stored
from schemas.events.mailbox_events import (
    Delivered,
    FolderChange,
    MailboxChanged,
    MessageChange,
    Position,
)
from schemas.mail import EmailAddress, HeaderSummary, Hop, Verdict
from schemas.mailbox import (
    FLAGGED,
    SEEN,
    FolderCounts,
    MailboxState,
    Message,
    OwnFolder,
    TypeSeqs,
    Usage,
)
from schemas.user_settings import SettingsPatch, StoredSettings

HOPS = (Hop(stage="scan", started_at_ms=5, took_ms=1.5, verdict="clean", attempt=1, worker="w"),)
VERDICT = Verdict(outcome="clean", signatures="local 1", spam_tests=("A", "B"), spam_score=0.5)
NOON_MS = 1_700_000_000_000


USER_NUMBERS = itertools.count()


class Writer:
    """The one writer of one user's mailbox. `messages` and `entries` are what must be stored."""

    def __init__(self, user_id: str = "ann") -> None:
        self.user_id = user_id
        self.state = MailboxState()
        self.messages: dict[str, Message] = {}
        self.entries: list[MailboxChanged] = []
        self.settings = StoredSettings()

    def deliver(
        self,
        name: str,
        *,
        at_ms: int = NOON_MS,
        folder: str = "inbox",
        keywords: tuple[str, ...] = (),
        sender: str = "ann@example.org",
        has_attachments: bool = False,
        thread: str = "",
        to: tuple[EmailAddress, ...] = (),
        draft_id: str = "",
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
            head=HeaderSummary(
                subject=f"제목 {name}",
                sender=EmailAddress("Ann", sender),
                to=to,
                has_attachments=has_attachments,
            ),
            verdict=VERDICT,
            hops=HOPS,
            thread_id=ids.derived_id("thread", thread or name),
            draft_id=draft_id,
        )
        key = name.encode().rjust(16)
        return self._commit("created", None, message, threads={key: message.thread_id})

    def mark(self, name: str, *keywords: str) -> Commit:
        """Its keywords become `keywords`."""
        before = self.row(name)
        return self._commit("updated", before, self._after(before, keywords=keywords))

    def move(self, name: str, *folders: str) -> Commit:
        before = self.row(name)
        places = {folder: self._counts(folder).next_uid for folder in folders}
        kept = tuple(id_ for id_ in before.deleted_in if id_ in places)
        return self._commit("updated", before, self._after(before, places=places, deleted_in=kept))

    def mark_deleted(self, name: str, *folders: str) -> Commit:
        """It is marked as deleted in `folders`, and only there."""
        before = self.row(name)
        return self._commit(
            "updated", before, self._after(before, deleted_in=tuple(sorted(folders)))
        )

    def destroy(self, name: str) -> Commit:
        before = self.row(name)
        after = self._after(
            before, places={}, keywords=(), deleted_in=(), head=HeaderSummary(), hops=(),
            destroyed=True,
        )  # fmt: skip
        return self._commit("destroyed", before, after)

    def row(self, name: str) -> Message:
        return self.messages[self.id(name)]

    def id(self, name: str) -> str:
        return ids.message_id(ids.derived_id(name), self.user_id)

    def listed(self, folder: str | None = "inbox", *, unread: bool | None = None) -> list[str]:
        """Ids in the order that a list must have, by a way of its own."""
        every = self.messages.values()
        if folder is None:
            rows = [row for row in every if self._shown(row) - {"junk", "trash"}]
        else:
            rows = [row for row in every if folder in self._shown(row)]
        shown = [row for row in rows if unread is None or (SEEN not in row.keywords) == unread]
        by_id = sorted(shown, key=lambda row: row.message_id, reverse=True)
        by_arrival = sorted(by_id, key=lambda row: -row.received_at_ms)
        return [row.message_id for row in by_arrival]

    def _shown(self, row: Message) -> set[str]:
        return set(row.places) - set(row.deleted_in)

    def by_uid(self, folder: str) -> list[Message]:
        rows = [row for row in self.messages.values() if folder in row.places]
        return sorted(rows, key=lambda row: row.places[folder])

    def recount(self, folder: str) -> tuple[int, int]:
        """Return total and unread, counted from the messages."""
        return len(self.listed(folder)), len(self.listed(folder, unread=True))

    def _counts(self, folder: str) -> FolderCounts:
        return self.state.folders.get(folder, FolderCounts(folder))

    def _after(self, before: Message, **changes: object) -> Message:
        return msgspec.structs.replace(before, changed_seq=self.state.seq + 1, **changes)

    def several(self, *names: str, keywords: tuple[str, ...]) -> Commit:
        """One step that touches many."""
        rows = [self._after(self.row(name), keywords=keywords) for name in names]
        return self._step(
            "updated", [(self.row(name), row) for name, row in zip(names, rows, strict=True)]
        )

    def folder(self, change: str, id_: str, name: str = "", parent_id: str = "") -> Commit:
        """A step that touches no message."""
        told = FolderChange(change=change, id=id_, name=name, parent_id=parent_id)
        own = {} if change == "destroyed" else {id_: OwnFolder(name=name, parent_id=parent_id)}
        rest = {key: it for key, it in self.state.own.items() if key != id_}
        counts = self._counts(id_)
        folders = {} if change == "destroyed" else {id_: counts}
        before = {key: it for key, it in self.state.folders.items() if key != id_}
        return self._step(
            "", [], folder_changes=(told,), folders=(counts,), own=rest | own,
            all_folders=before | folders,
        )  # fmt: skip

    def change_settings(self, **values: object) -> Commit:
        """The settings named in `values` change."""
        self.settings = StoredSettings(
            settings=msgspec.structs.replace(self.settings.settings, **values),
            changed_seq=self.state.seq + 1,
        )
        return self._step("", [], settings=SettingsPatch(**values))

    def _commit(
        self, change: str, before: Message | None, after: Message, **more: object
    ) -> Commit:
        return self._step(change, [(before, after)], **more)

    def _step(
        self,
        change: str,
        pairs: list[tuple[Message | None, Message]],
        *,
        folder_changes: tuple[FolderChange, ...] = (),
        folders: tuple[FolderCounts, ...] = (),
        own: dict[str, OwnFolder] | None = None,
        all_folders: dict[str, FolderCounts] | None = None,
        threads: dict[bytes, str] | None = None,
        settings: SettingsPatch | None = None,
    ) -> Commit:
        seq, before_seqs = self.state.seq + 1, self.state.type_seqs
        for _, after in pairs:
            self.messages[after.message_id] = after
        touched = {
            folder: after
            for before, after in pairs
            for folder in (*after.places, *(before.places if before else ()))
        }
        counted = {folder: self._recounted(folder, touched[folder]) for folder in sorted(touched)}
        alive = [row for row in self.messages.values() if not row.destroyed]
        usage = Usage(sum(row.content.size_bytes for row in alive), len(alive))
        entry = MailboxChanged(
            user_id=self.user_id,
            domain_id="domain",
            seq=seq,
            command_id=ids.derived_id(self.user_id, "command", str(seq)),
            position=Position("epoch", 3, seq * 2),
            changes=tuple(_change(change, before, after) for before, after in pairs),
            folder_changes=folder_changes,
            folders=(*counted.values(), *folders),
            usage=usage,
            at_ms=NOON_MS + seq,
            settings=settings,
            type_seqs=TypeSeqs(settings=seq) if settings else None,
        )
        self.entries.append(entry)
        self.state = MailboxState(
            seq=seq,
            epoch="epoch",
            partition=3,
            offset=seq * 2,
            folders=(self.state.folders if all_folders is None else all_folders) | counted,
            own=self.state.own if own is None else own,
            usage=usage,
            type_seqs=entry.type_seqs or before_seqs,
        )
        rows = tuple(after for _, after in pairs)
        return Commit(entry=entry, messages=rows, state=self.state, threads=threads or {})

    def _recounted(self, folder: str, after: Message) -> FolderCounts:
        total, unread = self.recount(folder)
        before, rows = self._counts(folder), self.by_uid(folder)
        return msgspec.structs.replace(
            before,
            total=total,
            unread=unread,
            next_uid=max(before.next_uid, after.places.get(folder, 0) + 1),
            modseq=self.state.seq + 1,
            size_bytes=sum(row.content.size_bytes for row in rows),
            deleted=sum(folder in row.deleted_in for row in rows),
        )


def a_new_user() -> Writer:
    return Writer(f"user-{next(USER_NUMBERS)}")


def with_row(commit: Commit, **changes: object) -> Commit:
    """Return the same step with another effect on its one message, in entry and row."""
    told = {name: value for name, value in changes.items() if name != "user_id"}
    (change,), (row,) = commit.entry.changes, commit.messages
    entry = msgspec.structs.replace(
        commit.entry, changes=(msgspec.structs.replace(change, **told),)
    )
    row = msgspec.structs.replace(row, **changes)
    return msgspec.structs.replace(commit, entry=entry, messages=(row,))


def another_command(commit: Commit) -> Commit:
    """What a second writer would commit at the same seq."""
    entry = msgspec.structs.replace(commit.entry, command_id=ids.derived_id("somebody", "else"))
    return msgspec.structs.replace(commit, entry=entry)


def gap(commit: Commit) -> Commit:
    """The same, one step too late."""
    seq = commit.entry.seq + 1
    return Commit(
        entry=msgspec.structs.replace(commit.entry, seq=seq),
        messages=tuple(msgspec.structs.replace(row, changed_seq=seq) for row in commit.messages),
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


def _change(change: str, before: Message | None, row: Message) -> MessageChange:
    old = before.places if before else {}
    return MessageChange(
        change=change,
        message_id=row.message_id,
        places=row.places,
        keywords=row.keywords,
        thread_id=row.thread_id,
        delivered=_delivered(row) if change == "created" else None,
        deleted_in=row.deleted_in,
        left={id_: uid for id_, uid in old.items() if row.places.get(id_) != uid},
    )


def _delivered(row: Message) -> Delivered:
    return Delivered(
        mail_id=row.mail_id,
        content=row.content,
        received_at_ms=row.received_at_ms,
        verdict=row.verdict,
        hops=row.hops,
        draft_id=row.draft_id,
    )
