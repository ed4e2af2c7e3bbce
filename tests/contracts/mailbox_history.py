"""Contract of MailboxHistory: the journal, folding, and the snapshot."""

import msgspec
import pytest
from hypothesis import strategies as st

from mail.errors import JournalTruncated
from mail.mailbox.journal_replay import JournalReplay
from mail.ports import MailStore
from schemas.events.mailbox_commands import EmptyFolder
from schemas.mailbox import SEEN, MailboxState
from tests.contracts.mail_store_reads import commit_all
from tests.contracts.mailboxes import NOON_MS, Writer

SENDERS = ("Kim@example.org", "lee@example.org")
FOREVER_MS = 2**50
either = st.none() | st.booleans()


async def folded(store: MailStore, user: str) -> JournalReplay:
    """The snapshot as a whole."""
    records, after = {}, ""
    while some := await store.snapshot_records(user, after_id=after, limit=2):
        records |= {record.message_id: record for record in some}
        after = some[-1].message_id
    return JournalReplay((await store.snapshot(user)).state, records)


class MailboxHistoryContract:
    async def test_the_journal_is_read_from_anywhere_in_order(self, store):
        ann, bob = Writer("ann"), Writer("bob")
        for number in range(12):
            await commit_all(store, ann.deliver(f"a{number}"), bob.deliver(f"b{number}"))
        assert await store.journal("ann", since_seq=4, limit=3) == ann.entries[4:7]
        assert await store.journal("ann", since_seq=10, limit=100) == ann.entries[10:]
        assert await store.journal("ann", since_seq=12, limit=1) == []
        assert await store.journal("ann", since_seq=2**70, limit=1) == []
        assert await store.journal("ann", since_seq=-5, limit=2) == ann.entries[:2]

    async def test_what_is_folded_is_gone_from_the_feed_and_stays_in_the_snapshot(self, store):
        ann = Writer()
        await commit_all(
            store,
            ann.deliver("a"), ann.deliver("b"), ann.folder("created", "f1", "Work"),
            ann.several("a", "b", keywords=(SEEN,)), ann.destroy("a"), ann.move("b", "f1"),
            ann.deliver("c"),
        )  # fmt: skip
        state_then = JournalReplay(MailboxState(), {})
        for entry in ann.entries[:5]:
            state_then.add(entry)
        assert await store.fold("ann", before_ms=NOON_MS + 1, to_seq=99) == 0
        assert await store.fold("ann", before_ms=FOREVER_MS, to_seq=0) == 0
        due = {"before_ms": NOON_MS + 6, "to_seq": 99}
        while await store.fold("ann", **due):
            pass
        found = await folded(store, "ann")
        assert (found.state, found.records) == (state_then.state, state_then.records)
        assert (await store.snapshot("ann")).at_ms == NOON_MS + 5
        for since_seq in (0, 4):
            with pytest.raises(JournalTruncated) as gone:
                await store.journal("ann", since_seq=since_seq, limit=9)
            assert gone.value.seq == 5
        rest = await store.journal("ann", since_seq=5, limit=9)
        assert rest == ann.entries[5:]
        for entry in rest:
            found.add(entry)
        assert found.state == ann.state == await store.load("ann")
        with pytest.raises(JournalTruncated):
            await store.by_command("ann", ann.entries[0].command_id)
        assert await store.by_command("ann", ann.entries[6].command_id) == ann.entries[6]
        seqs = {entry.command_id: entry.seq for entry in ann.entries}
        assert await store.command_seqs("ann", [*seqs, "unknown"]) == seqs
        assert await store.command_seqs("bob", [*seqs]) == {}

    async def test_nothing_is_folded_behind_a_seq(self, store):
        ann = Writer()
        await commit_all(store, *(ann.deliver(name) for name in "abcd"))
        while await store.fold("ann", before_ms=FOREVER_MS, to_seq=2):
            pass
        assert await store.journal("ann", since_seq=2, limit=9) == ann.entries[2:]

    async def test_a_folded_chunk_still_names_the_next_one(self, store):
        ann = Writer()
        first = ann.deliver("a")
        follow_up = EmptyFolder(
            command_id="next", user_id="ann", domain_id="domain", folder_id="trash", at_ms=1,
            origin_id="first", chunk=1, after_uid=7, bound_uid=9,
        )  # fmt: skip
        entry = msgspec.structs.replace(first.entry, follow_up=follow_up)
        await store.commit(msgspec.structs.replace(first, entry=entry))
        await store.commit(ann.deliver("b"))
        assert await store.fold("ann", before_ms=FOREVER_MS, to_seq=99) == 2
        for command_id, wanted in (
            (entry.command_id, follow_up),
            (ann.entries[1].command_id, None),
        ):
            with pytest.raises(JournalTruncated) as gone:
                await store.by_command("ann", command_id)
            assert gone.value.follow_up == wanted

    async def test_writing_goes_on_after_a_fold(self, store):
        ann, bob = Writer("ann"), Writer("bob")
        await commit_all(store, ann.deliver("a"), bob.deliver("a"))
        while await store.fold("ann", before_ms=FOREVER_MS, to_seq=99):
            pass
        last = ann.mark("a", SEEN)
        await commit_all(store, last, last)
        assert await store.journal("ann", since_seq=1, limit=9) == [last.entry]
        assert len(await store.journal("bob", since_seq=0, limit=9)) == 1
        assert await store.load("ann") == ann.state
