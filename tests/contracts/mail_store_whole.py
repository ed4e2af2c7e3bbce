"""Contract of MailStore beyond single steps: large steps, filters, threads, usage, folding."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mail.errors import JournalTruncated, Refused
from mail.mailbox.journal_replay import JournalReplay
from mail.ports import Commit, MailStore
from schemas.events.mailbox_commands import EmptyFolder
from schemas.mailbox import FLAGGED, SEEN, Filter, MailboxState, Usage
from tests.contracts.mailboxes import NOON_MS, Writer, a_new_user

FEW = settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
SENDERS = ("Kim@example.org", "lee@example.org")
FOREVER_MS = 2**50
either = st.none() | st.booleans()


async def commit_all(store: MailStore, *made: Commit) -> None:
    for commit in made:
        await store.commit(commit)


async def all_pages(store: MailStore, user: str, folder: str | None, wanted: Filter) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = await store.page(user, folder, wanted=wanted, limit=2, cursor=cursor)
        found += [row.message_id for row in page.messages]
        cursor = page.next_cursor
        if cursor is None:
            return found


async def folded(store: MailStore, user: str) -> JournalReplay:
    """The snapshot as a whole."""
    records, after = {}, ""
    while some := await store.snapshot_records(user, after_id=after, limit=2):
        records |= {record.message_id: record for record in some}
        after = some[-1].message_id
    return JournalReplay((await store.snapshot(user)).state, records)


class WholeMailStoreContract:
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
        assert await all_pages(store, "ann", "inbox", Filter(unread=True)) == []
        assert await store.journal("ann", since_seq=3, limit=9) == ann.entries[3:]

    async def test_folders_are_the_standard_ones_then_the_owners_by_name(self, store):
        ann = Writer()
        await commit_all(
            store,
            ann.folder("created", "f2", "zoo"),
            ann.folder("created", "f1", "Work", "inbox"),
            ann.deliver("a", folder="f1"),
        )
        found = await store.folders("ann")
        assert [(one.counts.id, one.name, one.parent_id) for one in found[6:]] == [
            ("f1", "Work", "inbox"), ("f2", "zoo", ""),
        ]  # fmt: skip
        assert found[6].counts.total == 1
        await commit_all(store, ann.folder("destroyed", "f2"))
        assert [one.counts.id for one in (await store.folders("ann"))[6:]] == ["f1"]

    async def test_all_mail_is_in_any_folder_but_junk_and_trash(self, store):
        ann = Writer()
        await commit_all(
            store,
            ann.deliver("a"), ann.deliver("b", folder="junk"), ann.deliver("c", folder="trash"),
            ann.deliver("d", folder="f1"), ann.move("a", "inbox", "archive", "trash"),
        )  # fmt: skip
        assert await all_pages(store, "ann", None, Filter()) == ann.listed(None)
        assert set(ann.listed(None)) == {ann.id("a"), ann.id("d")}

    @FEW
    @given(
        mails=st.lists(
            st.tuples(
                st.integers(0, 4), st.sampled_from(SENDERS), st.booleans(),
                st.sampled_from([(), (SEEN,), (FLAGGED,), (FLAGGED, SEEN)]),
            ),
            max_size=10,
        ),
        unread=either,
        flagged=either,
        has_attachments=either,
        sender=st.sampled_from([None, "KIM@EXAMPLE.org", "no address"]),
        after=st.none() | st.integers(0, 4),
        before=st.none() | st.integers(0, 5),
        folder=st.sampled_from(["inbox", None]),
    )  # fmt: skip
    async def test_filters_show_what_they_say(self, store, mails, folder, **asked):
        ann = a_new_user()
        shown = []
        for number, (at_ms, sender, attached, keywords) in enumerate(mails):
            ann_mail = ann.deliver(
                str(number), at_ms=at_ms, sender=sender, has_attachments=attached,
                keywords=keywords,
            )  # fmt: skip
            await store.commit(ann_mail)
            told = (
                (asked["unread"], SEEN not in keywords),
                (asked["flagged"], FLAGGED in keywords),
                (asked["has_attachments"], attached),
                (asked["sender"] and asked["sender"].lower(), sender.lower()),
            )
            in_time = (asked["after"] or 0) <= at_ms
            in_time &= asked["before"] is None or at_ms < asked["before"]
            if in_time and all(wanted in (None, there) for wanted, there in told):
                shown.append(ann.id(str(number)))
        after_ms, before_ms = asked.pop("after"), asked.pop("before")
        wanted = Filter(**asked, after_ms=after_ms, before_ms=before_ms)
        found = await all_pages(store, ann.user_id, folder, wanted)
        assert found == [id_ for id_ in ann.listed() if id_ in shown]

    async def test_uids_are_walked_in_order(self, store):
        ann = Writer()
        made = [ann.deliver(str(number), at_ms=NOON_MS - number) for number in range(5)]
        await commit_all(store, *made, ann.move("1", "trash"), ann.move("1", "inbox"))
        found = await store.by_uid("ann", "inbox", after_uid=1, limit=2)
        assert [row.places["inbox"] for row in found] == [3, 4]
        found = await store.by_uid("ann", "inbox", after_uid=4, limit=500)
        assert [row.message_id for row in found] == [ann.id("4"), ann.id("1")]
        for limit in (0, 501):
            with pytest.raises(Refused):
                await store.by_uid("ann", "inbox", after_uid=0, limit=limit)

    async def test_messages_by_id_are_those_that_are_not_destroyed(self, store):
        ann, bob = Writer("ann"), Writer("bob")
        await commit_all(store, *(ann.deliver(str(number)) for number in range(5)))
        await commit_all(store, ann.destroy("3"), bob.deliver("1"), ann.move("0", "trash"))
        alive = sorted(ann.id(name) for name in "0124")
        first = await store.by_id("ann", after_id="", limit=3)
        rest = await store.by_id("ann", after_id=first[-1].message_id, limit=3)
        assert [row.message_id for row in first + rest] == alive
        for limit in (0, 501):
            with pytest.raises(Refused):
                await store.by_id("ann", after_id="", limit=limit)

    async def test_a_thread_stays_bound_to_the_first(self, store):
        ann, key = Writer(), b"k" * 16
        first, second = ann.deliver("a"), ann.deliver("b")
        await store.commit(msgspec.structs.replace(first, threads={key: "t1", b"other": "t1"}))
        await store.commit(msgspec.structs.replace(second, threads={key: "t2", b"third": "t2"}))
        await store.commit(ann.destroy("b"))
        found = await store.before_delivery("ann", ann.id("b"), [key, b"third", b"unknown"])
        assert found == (ann.row("b"), {key: "t1", b"third": "t2"})
        assert found[0].destroyed
        assert await store.before_delivery("bob", ann.id("b"), [key]) == (None, {})
        assert await store.before_delivery("ann", ann.id("c"), []) == (None, {})

    async def test_a_thread_is_read_in_the_order_of_arrival_wherever_its_mails_lie(self, store):
        ann, bob = Writer("ann"), Writer("bob")
        made = [ann.deliver(str(at), at_ms=NOON_MS - at // 2, thread="t") for at in range(6)]
        rest = [ann.move("1", "trash"), ann.destroy("4"), ann.deliver("other")]
        await commit_all(store, *made, *rest, bob.deliver("1"))
        thread_id = ann.row("1").thread_id
        names = ("5", "2", "3", "0", "1")
        expected = sorted((ann.row(name).received_at_ms, ann.id(name)) for name in names)
        found, cursor = [], None
        while True:
            page = await store.thread("ann", thread_id, limit=2, cursor=cursor)
            found += [(row.received_at_ms, row.message_id) for row in page.messages]
            cursor = page.next_cursor
            if cursor is None:
                break
            with pytest.raises(Refused):
                await store.thread("bob", thread_id, limit=2, cursor=cursor)
        assert found == expected
        assert (await store.thread("bob", thread_id, limit=2, cursor=None)).messages == ()
        with pytest.raises(Refused):
            await store.thread("ann", thread_id, limit=501, cursor=None)

    async def test_usage_is_of_what_is_not_destroyed(self, store):
        ann, bob = Writer("ann"), Writer("bob")
        await commit_all(store, ann.deliver("a"), ann.move("a", "inbox", "archive"))
        await commit_all(store, bob.deliver("a"), bob.deliver("b"), bob.destroy("a"))
        assert await store.usage("ann") == await store.usage("bob") == Usage(1234, 1)
        assert await store.domain_usage("domain") == Usage(2468, 2)

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
