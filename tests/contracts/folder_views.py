"""Contract of FolderViews: slots of a folder, what changed and what vanished, keywords in use."""

import pytest

from mail.errors import JournalTruncated
from schemas.folder_slots import (
    ANSWERED_BIT,
    ATTACHMENTS_BIT,
    DELETED_BIT,
    FLAGGED_BIT,
    OTHER_KEYWORDS_BIT,
    SEEN_BIT,
    FolderSlots,
)
from schemas.mailbox import FLAGGED, SEEN
from tests.contracts.mail_store_reads import commit_all
from tests.contracts.mailboxes import NOON_MS, Writer


def rows_of(slots: FolderSlots) -> list[tuple]:
    columns = (slots.uids, slots.message_ids, slots.changed_seqs, slots.flags)
    return list(zip(*columns, strict=True))


class FolderViewsContract:
    async def test_slots_show_every_message_of_the_folder_by_uid(self, store):
        ann = Writer()
        await commit_all(
            store,
            ann.deliver("a", at_ms=NOON_MS + 5, has_attachments=True),
            ann.deliver("b", keywords=(FLAGGED, SEEN)),
            ann.deliver("c", folder="archive"),
            ann.move("c", "inbox", "archive"),
            ann.mark("a", "$answered", "work"),
            ann.mark_deleted("b", "inbox"),
        )
        slots = await store.slots("ann", "inbox")
        assert rows_of(slots) == [
            (1, ann.id("a"), 5, ANSWERED_BIT | OTHER_KEYWORDS_BIT | ATTACHMENTS_BIT),
            (2, ann.id("b"), 6, SEEN_BIT | FLAGGED_BIT | DELETED_BIT),
            (3, ann.id("c"), 4, 0),
        ]
        assert list(slots.received_at_ms) == [NOON_MS + 5, NOON_MS, NOON_MS]
        assert list(slots.sizes_bytes) == [1234] * 3
        (archived,) = rows_of(await store.slots("ann", "archive"))
        assert archived == (ann.row("c").places["archive"], ann.id("c"), 4, 0)
        assert len(await store.slots("bob", "inbox")) == 0

    async def test_changed_are_those_after_a_seq(self, store):
        ann = Writer()
        await commit_all(store, ann.deliver("a"), ann.deliver("b"), ann.mark("a", SEEN))
        assert [row[0] for row in rows_of(await store.changed("ann", "inbox", since_seq=1))] == [
            1,
            2,
        ]
        assert [row[0] for row in rows_of(await store.changed("ann", "inbox", since_seq=2))] == [1]
        assert len(await store.changed("ann", "inbox", since_seq=3)) == 0

    async def test_uids_that_ended_are_told_until_their_step_is_folded(self, store):
        ann = Writer()
        await commit_all(
            store,
            ann.deliver("a"),
            ann.deliver("b"),
            ann.move("a", "archive"),
            ann.move("a", "inbox"),
            ann.destroy("a"),
            ann.mark("b", SEEN),
        )
        assert await store.vanished("ann", "inbox", since_seq=0) == (1, 3)
        assert await store.vanished("ann", "inbox", since_seq=3) == (3,)
        assert await store.vanished("ann", "inbox", since_seq=5) == ()
        assert await store.vanished("ann", "archive", since_seq=0) == (1,)
        assert await store.vanished("bob", "inbox", since_seq=0) == ()
        assert await store.fold("ann", before_ms=2**50, to_seq=4) == 4
        assert await store.vanished("ann", "inbox", since_seq=4) == (3,)
        with pytest.raises(JournalTruncated):
            await store.vanished("ann", "inbox", since_seq=3)

    async def test_keywords_are_those_in_use(self, store):
        ann = Writer()
        await commit_all(
            store,
            ann.deliver("a", keywords=(SEEN, "work")),
            ann.deliver("b", keywords=("home", "work")),
            ann.deliver("c", keywords=("lost",)),
            ann.mark_deleted("c", "inbox"),
            ann.mark("b", "work"),
        )
        assert await store.keywords("ann") == ("work",)
        assert await store.keywords("bob") == ()

    async def test_what_is_marked_as_deleted_is_in_no_list(self, store):
        ann = Writer()
        await commit_all(
            store,
            ann.deliver("a", thread="t"),
            ann.deliver("b", thread="t"),
            ann.move("b", "inbox", "archive"),
            ann.mark_deleted("a", "inbox"),
            ann.mark_deleted("b", "inbox"),
        )
        state = await store.load("ann")
        inbox = state.folders["inbox"]
        assert (inbox.total, inbox.unread, inbox.deleted, inbox.size_bytes) == (0, 0, 2, 2468)
        thread = await store.thread("ann", ann.row("b").thread_id, limit=9, cursor=None)
        assert [row.message_id for row in thread.messages] == [ann.id("b")]
        assert (await store.check("ann")).differences == ()
        await store.commit(ann.mark_deleted("a"))
        assert (await store.load("ann")).folders["inbox"].total == 1
