"""Contract of MailboxWriter: commits, conflicts, repeats, and what every view shows after them."""

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.errors import JournalConflict
from mail.ports import Commit
from schemas.mailbox import FLAGGED, FOLDERS, SEEN, Filter, FolderCounts, MailboxState, Usage
from schemas.snapshot import Snapshot
from tests.contracts.mail_store_reads import HARD, commit_all, filtered, holds_what, listed
from tests.contracts.mailboxes import (
    NOON_MS,
    Writer,
    a_new_user,
    another_command,
    gap,
    seen_and_flagged,
    used_command,
    with_row,
)


def arrivals(writer: Writer, prefix: str, given_: list[tuple[int, bool]]) -> list[Commit]:
    return [
        writer.deliver(
            f"{prefix}{number}", at_ms=at_ms, keywords=seen_and_flagged(seen=seen, flagged=False)
        )
        for number, (at_ms, seen) in enumerate(given_)
    ]


def is_alive(writer: Writer, name: str) -> bool:
    row = writer.messages.get(writer.id(name))
    return row is not None and not row.destroyed


def change(writer: Writer, kind: str, name: str, data: st.DataObject) -> Commit:
    if kind == "mark":
        flags = seen_and_flagged(seen=data.draw(st.booleans()), flagged=data.draw(st.booleans()))
        return writer.mark(name, *flags)
    if kind == "move":
        folders = st.sets(st.sampled_from(FOLDERS), min_size=1, max_size=3)
        return writer.move(name, *sorted(data.draw(folders)))
    return writer.destroy(name)


class MailboxWriterContract:
    async def test_a_new_user_has_nothing(self, store):
        assert await store.load("nobody") == await store.state("nobody") == MailboxState()
        found = await store.folders("nobody")
        assert [folder.counts for folder in found] == [FolderCounts(id_) for id_ in FOLDERS]
        assert (found[0].role, found[0].name) == ("inbox", "Inbox")
        assert await store.usage("nobody") == await store.domain_usage("no domain") == Usage()
        assert await store.rows_and_threads("nobody", ["m"], [b"k"]) == ({}, {})
        assert len(await store.slots("nobody", "inbox")) == 0
        assert await store.vanished("nobody", "inbox", since_seq=0) == ()
        assert await store.keywords("nobody") == ()
        assert await store.by_uid("nobody", "inbox", after_uid=0, limit=1) == []
        assert await store.snapshot("nobody") == Snapshot()
        assert await store.fold("nobody", before_ms=2**40, to_seq=9) == 0
        assert await store.journal("nobody", since_seq=0, limit=10) == []
        assert await listed(store, "nobody") == []
        assert await store.by_command("nobody", "c") is None
        assert await store.message("nobody", "m") is None
        assert await store.messages("nobody", ["m"]) == {}
        assert await store.by_mail("m") == []

    async def test_every_view_shows_a_commit_once_it_has_returned(self, store):
        ann = Writer()
        for commit in (
            ann.deliver("a"),
            ann.deliver("b", at_ms=NOON_MS - 1, keywords=(SEEN,)),
            ann.mark("a", FLAGGED, SEEN),
            ann.move("b", "trash", "archive"),
            ann.mark("a", "forwarded"),
            ann.destroy("b"),
        ):
            await store.commit(commit)
            assert await store.load("ann") == commit.state
            assert await store.by_command("ann", commit.entry.command_id) == commit.entry
            (row,) = commit.messages
            assert await store.message("ann", row.message_id) == row
        await holds_what(store, ann)

    async def test_the_same_commit_again_changes_nothing(self, store):
        ann = Writer()
        made = [ann.deliver("a"), ann.mark("a", SEEN), ann.deliver("b"), ann.destroy("a")]
        await commit_all(store, *made)
        for commit in made:
            await store.commit(commit)
            await holds_what(store, ann)

    async def test_successive_commits_are_written_together(self, store):
        ann = Writer()
        await store.commit(ann.deliver("a"))
        commits = [ann.deliver("b"), ann.mark("b", SEEN), ann.deliver("c"), ann.destroy("b")]
        await store.commit_all(commits)
        await store.commit_all(commits)
        await store.commit_all([])
        await holds_what(store, ann)
        with pytest.raises(JournalConflict):
            await store.commit_all([another_command(commits[0])])
        await holds_what(store, ann)

    async def test_many_deliveries_are_written_together(self, store):
        """They share threads and senders, and pass each seq at which a store does more."""
        ann = Writer()
        for first in range(0, 150, 50):
            names = [str(number) for number in range(first, first + 50)]
            commits = [ann.deliver(name, thread=f"t{int(name) % 3}") for name in names]
            await store.commit_all(commits)
        await holds_what(store, ann)
        await store.commit_all(commits)
        assert await store.load("ann") == ann.state
        assert (await store.check("ann")).differences == ()

    async def test_the_same_commit_twice_at_once_is_one(self, store):
        ann = Writer()
        for commit in (ann.deliver("a"), ann.mark("a", SEEN)):
            await asyncio.gather(*(store.commit(commit) for _ in range(4)))
        await holds_what(store, ann)

    async def test_another_command_at_a_seq_is_a_conflict_and_changes_nothing(self, store):
        ann = Writer()
        first, second = ann.deliver("a"), ann.mark("a", SEEN)
        await commit_all(store, first, second)
        for commit in (first, second):
            with pytest.raises(JournalConflict):
                await store.commit(another_command(commit))
        await holds_what(store, ann)

    async def test_the_same_command_with_another_effect_is_a_conflict(self, store):
        ann = Writer()
        first = ann.deliver("a")
        await store.commit(first)
        with pytest.raises(JournalConflict):
            await store.commit(with_row(first, keywords=(SEEN,)))
        await holds_what(store, ann)

    async def test_one_of_two_writers_at_one_seq_wins(self, store):
        ann = Writer()
        first = ann.deliver("a")
        other = another_command(first)
        outcomes = await asyncio.gather(
            store.commit(first), store.commit(other), return_exceptions=True
        )
        assert sum(isinstance(outcome, JournalConflict) for outcome in outcomes) == 1
        won = first if outcomes[0] is None else other
        assert await store.journal("ann", since_seq=0, limit=10) == [won.entry]

    async def test_a_gap_is_a_conflict(self, store):
        ann = Writer()
        first, _, third = ann.deliver("a"), ann.deliver("b"), ann.deliver("c")
        with pytest.raises(JournalConflict):
            await store.commit(third)
        await store.commit(first)
        with pytest.raises(JournalConflict):
            await store.commit(third)
        assert await store.load("ann") == first.state
        assert await listed(store, "ann") == [ann.id("a")]

    async def test_a_command_is_journalled_once(self, store):
        ann = Writer()
        first, second = ann.deliver("a"), ann.deliver("b")
        await store.commit(first)
        entry = msgspec.structs.replace(second.entry, command_id=first.entry.command_id)
        with pytest.raises(JournalConflict):
            await store.commit(msgspec.structs.replace(second, entry=entry))
        await store.commit(second)
        await holds_what(store, ann)

    async def test_a_commit_that_disagrees_with_itself_is_not_written(self, store):
        first = Writer().deliver("a")
        for wrong in (
            msgspec.structs.replace(first, state=MailboxState(seq=2)),
            msgspec.structs.replace(first, state=MailboxState(seq=1)),
            msgspec.structs.replace(first, messages=Writer("bob").deliver("a").messages),
            msgspec.structs.replace(first, messages=Writer().deliver("b").messages),
            msgspec.structs.replace(first, messages=()),
        ):
            with pytest.raises(ValueError, match="disagrees"):
                await store.commit(wrong)
        assert await store.load("ann") == MailboxState()

    @pytest.mark.parametrize("spoil", [gap, used_command])
    async def test_one_conflict_fails_none_of_its_neighbours(self, store, spoil):
        writers = [Writer(f"user-{number}") for number in range(64)]
        await asyncio.gather(*(store.commit(writer.deliver("a")) for writer in writers))
        made = [writer.mark("a", SEEN) for writer in writers]
        wrong = {3, 4, 40}
        asked = [spoil(c) if n in wrong else c for n, c in enumerate(made)]
        outcomes = await asyncio.gather(*map(store.commit, asked), return_exceptions=True)
        assert {n for n, outcome in enumerate(outcomes) if outcome is not None} == wrong
        assert all(isinstance(outcomes[n], JournalConflict) for n in wrong)
        await asyncio.gather(*(store.commit(made[n]) for n in wrong))
        for writer in writers:
            await holds_what(store, writer)

    async def test_users_see_nothing_of_each_other(self, store):
        ann, bob = Writer("ann"), Writer("bob")
        mine = ann.deliver("a")
        await commit_all(store, mine, bob.deliver("b"))
        assert await store.message("bob", ann.id("a")) is None
        assert await store.messages("bob", [ann.id("a"), bob.id("b")]) == {
            bob.id("b"): bob.row("b")
        }
        assert await store.by_command("bob", mine.entry.command_id) is None
        await holds_what(store, ann)
        await holds_what(store, bob)

    async def test_the_same_message_id_in_two_mailboxes_is_two_messages(self, store):
        ann, bob = Writer("ann"), Writer("bob")
        await store.commit(ann.deliver("a"))
        theirs = bob.deliver("b")
        same = with_row(theirs, message_id=ann.id("a"))
        await store.commit(same)
        assert await store.message("ann", ann.id("a")) == ann.row("a")
        assert await store.message("bob", ann.id("a")) == same.messages[0]

    async def test_a_destroyed_message_stays_as_a_tombstone(self, store):
        ann = Writer()
        await commit_all(store, ann.deliver("a"), ann.deliver("b"), ann.destroy("a"))
        row = await store.message("ann", ann.id("a"))
        assert row is not None
        assert row.destroyed
        both = [ann.id("a"), ann.id("b")]
        assert await store.messages("ann", both) == {ann.id("b"): ann.row("b")}
        assert await store.rows("ann", both) == {ann.id("a"): row, ann.id("b"): ann.row("b")}
        assert await store.by_mail(row.mail_id) == [row]
        assert await listed(store, "ann") == [ann.id("b")]

    @HARD
    @given(st.data())
    async def test_any_history_is_shown_by_every_view(self, store, data):
        ann = a_new_user()
        for number in range(data.draw(st.integers(1, 12))):
            alive = [name for name in map(str, range(number)) if is_alive(ann, name)]
            kind = data.draw(st.sampled_from(["deliver", "mark", "move", "destroy"]))
            if kind == "deliver" or not alive:
                commit = ann.deliver(str(number), at_ms=data.draw(st.integers(-2, 2)))
            else:
                commit = change(ann, kind, data.draw(st.sampled_from(alive)), data)
            await store.commit(commit)
        await holds_what(store, ann)

    async def test_a_step_may_touch_many_messages_or_none(self, store):
        ann = Writer()
        made = [ann.deliver(name) for name in ("a", "b", "c")]
        made.append(ann.several("a", "b", "c", keywords=(SEEN,)))
        made.append(ann.folder("created", "f1", "Work"))
        await commit_all(store, *made, made[3], made[4])
        assert await store.load("ann") == ann.state
        for name in ("a", "b", "c"):
            row = await store.message("ann", ann.id(name))
            assert (row.keywords, row.changed_seq) == ((SEEN,), 4)
        assert await filtered(store, "ann", Filter(unread=True)) == []
        assert await store.journal("ann", since_seq=3, limit=9) == ann.entries[3:]

    async def test_a_thread_stays_bound_to_the_first(self, store):
        ann, key = Writer(), b"k" * 16
        first, second = ann.deliver("a"), ann.deliver("b")
        await store.commit(msgspec.structs.replace(first, threads={key: "t1", b"other": "t1"}))
        await store.commit(msgspec.structs.replace(second, threads={key: "t2", b"third": "t2"}))
        await store.commit(ann.destroy("b"))
        ids, keys = [ann.id("b"), ann.id("c")], [key, b"third", b"unknown"]
        rows, bound = await store.rows_and_threads("ann", ids, keys)
        assert rows == {ann.id("b"): ann.row("b")}
        assert bound == {key: "t1", b"third": "t2"}
        assert rows[ann.id("b")].destroyed
        assert await store.rows_and_threads("bob", ids, [key]) == ({}, {})
        assert await store.rows_and_threads("ann", [ann.id("c")], []) == ({}, {})
