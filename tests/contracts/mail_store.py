"""What every MailStore does. Inherit, give a `store` fixture, and the adapter is held to it."""

import asyncio

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mail.errors import JournalConflict, Refused
from mail.ids import derived_id
from mail.mailbox.list_filters import NO_FILTER
from mail.ports import Commit, MailStore
from schemas.mailbox import FLAGGED, FOLDERS, SEEN, Filter, FolderCounts, MailboxState, Usage
from schemas.snapshot import Snapshot
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

HARD = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
ARRIVALS = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), max_size=12)


async def commit_all(store: MailStore, *made: Commit) -> None:
    for commit in made:
        await store.commit(commit)


async def listed(
    store: MailStore,
    user: str,
    folder: str | None = "inbox",
    *,
    unread: bool | None = None,
    limit: int = 3,
) -> list[str]:
    """All message ids of a list, page by page."""
    return await filtered(store, user, Filter(unread=unread), folder=folder, limit=limit)


async def filtered(
    store: MailStore,
    user: str,
    wanted: Filter,
    *,
    folder: str | None = "inbox",
    limit: int = 3,
) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = await store.page(user, folder, wanted=wanted, limit=limit, cursor=cursor)
        found += [row.message_id for row in page.messages]
        if page.next_cursor is None:
            return found
        assert len(page.messages) <= limit
        cursor = page.next_cursor


async def holds_what(store: MailStore, writer: Writer) -> None:
    """Every view shows what `writer` wrote, and nothing else."""
    user = writer.user_id
    assert await store.load(user) == await store.state(user) == writer.state
    assert await store.journal(user, since_seq=0, limit=1000) == writer.entries
    for id_, row in writer.messages.items():
        assert await store.message(user, id_) == row
    assert await store.usage(user) == writer.state.usage
    for folder in await store.folders(user):
        counts = folder.counts
        assert (counts.total, counts.unread) == writer.recount(counts.id)
        assert await store.by_uid(user, counts.id, after_uid=0, limit=500) == writer.by_uid(
            counts.id
        )
        await _lists_what(store, writer, counts.id)
    await _lists_what(store, writer, None)


async def _lists_what(store: MailStore, writer: Writer, folder: str | None) -> None:
    for unread in (None, True, False):
        assert await listed(store, writer.user_id, folder, unread=unread) == writer.listed(
            folder, unread=unread
        )


class MailStoreContract:
    async def test_a_new_user_has_nothing(self, store):
        assert await store.load("nobody") == await store.state("nobody") == MailboxState()
        found = await store.folders("nobody")
        assert [folder.counts for folder in found] == [FolderCounts(id_) for id_ in FOLDERS]
        assert (found[0].role, found[0].name) == ("inbox", "Inbox")
        assert await store.usage("nobody") == await store.domain_usage("no domain") == Usage()
        assert await store.before_delivery("nobody", "m", [b"k"]) == (None, {})
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

    async def test_a_message_of_two_folders_is_in_both_lists(self, store):
        ann = Writer()
        await commit_all(store, ann.deliver("a"), ann.move("a", "inbox", "archive"))
        assert await listed(store, "ann", "inbox") == [ann.id("a")]
        assert await listed(store, "ann", "archive") == [ann.id("a")]

    async def test_the_same_commit_again_changes_nothing(self, store):
        ann = Writer()
        made = [ann.deliver("a"), ann.mark("a", SEEN), ann.deliver("b"), ann.destroy("a")]
        await commit_all(store, *made)
        for commit in made:
            await store.commit(commit)
            await holds_what(store, ann)

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

    async def test_by_mail_finds_every_recipients_message(self, store):
        writers = [Writer(name) for name in ("ann", "bob", "cy")]
        await commit_all(
            store, *(writer.deliver("a") for writer in writers), Writer("dan").deliver("b")
        )
        found = await store.by_mail(derived_id("a"))
        assert {row.user_id: row for row in found} == {w.user_id: w.row("a") for w in writers}
        both = await store.by_mails([derived_id("b"), derived_id("none"), derived_id("a")])
        assert len(both) == len(found) + 1
        assert await store.by_mails([]) == []

    async def test_the_journal_is_read_from_anywhere_in_order(self, store):
        ann, bob = Writer("ann"), Writer("bob")
        for number in range(12):
            await commit_all(store, ann.deliver(f"a{number}"), bob.deliver(f"b{number}"))
        assert await store.journal("ann", since_seq=4, limit=3) == ann.entries[4:7]
        assert await store.journal("ann", since_seq=10, limit=100) == ann.entries[10:]
        assert await store.journal("ann", since_seq=12, limit=1) == []
        assert await store.journal("ann", since_seq=2**70, limit=1) == []
        assert await store.journal("ann", since_seq=-5, limit=2) == ann.entries[:2]

    async def test_a_cursor_is_refused_elsewhere(self, store):
        for user in ("ann", "bob"):
            writer = Writer(user)
            await commit_all(store, *(writer.deliver(str(number)) for number in range(3)))
        page = await store.page("ann", "inbox", wanted=NO_FILTER, limit=1, cursor=None)
        cursor = page.next_cursor
        for user, folder, unread in (
            ("bob", "inbox", None),
            ("ann", "junk", None),
            ("ann", "inbox", True),
            ("ann", "inbox", False),
        ):
            with pytest.raises(Refused):
                await store.page(user, folder, wanted=Filter(unread=unread), limit=1, cursor=cursor)
        await store.page("ann", "inbox", wanted=NO_FILTER, limit=500, cursor=cursor)

    @pytest.mark.parametrize(
        "rubbish", ["", "x", "0", "é", "\x00", "AAAA", "A" * 10_000, "....", "null", "=", "ab cd"]
    )
    async def test_rubbish_is_no_cursor(self, store, rubbish):
        with pytest.raises(Refused):
            await store.page("ann", "inbox", wanted=NO_FILTER, limit=1, cursor=rubbish)

    async def test_a_changed_cursor_is_refused(self, store):
        ann = Writer()
        await commit_all(store, ann.deliver("a"), ann.deliver("b"))
        page = await store.page("ann", "inbox", wanted=NO_FILTER, limit=1, cursor=None)
        cursor = page.next_cursor
        for at in range(0, len(cursor), 5):
            other = cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
            with pytest.raises(Refused):
                await store.page("ann", "inbox", wanted=NO_FILTER, limit=1, cursor=other)

    @pytest.mark.parametrize("limit", [0, -1, 501])
    async def test_a_page_has_1_to_500_messages(self, store, limit):
        with pytest.raises(Refused):
            await store.page("ann", "inbox", wanted=NO_FILTER, limit=limit, cursor=None)

    @HARD
    @given(
        before=ARRIVALS,
        between=ARRIVALS,
        limit=st.integers(1, 5),
        unread=st.sampled_from([None, True, False]),
    )
    async def test_pages_stay_in_order_while_mail_arrives(
        self, store, before, between, limit, unread
    ):
        """Messages of the first page's time are shown once, in order, while others arrive."""
        ann = a_new_user()
        await commit_all(store, *arrivals(ann, "early", before))
        then = ann.listed(unread=unread)
        late = arrivals(ann, "late", between)
        shown: list[str] = []
        cursor = None
        while True:
            page = await store.page(
                ann.user_id, "inbox", wanted=Filter(unread=unread), limit=limit, cursor=cursor
            )
            shown += [row.message_id for row in page.messages]
            cursor = page.next_cursor
            if cursor is None:
                break
            await commit_all(store, *(late[:2]))
            late = late[2:]
        assert len(set(shown)) == len(shown)
        assert shown == [id_ for id_ in ann.listed(unread=unread) if id_ in set(shown)]
        assert [id_ for id_ in shown if id_ in set(then)] == then

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
