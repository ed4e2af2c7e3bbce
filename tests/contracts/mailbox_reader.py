"""Contract of MailboxReader: pages, cursors, filters, folders, threads, usage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.errors import Refused
from mail.mailbox.list_filters import NO_FILTER
from mail.pagination import POSITION_MAX
from mail.ports import Commit, MailStore
from schemas.mailbox import FLAGGED, SEEN, Filter, Usage
from tests.contracts.mail_store_reads import FEW, HARD, commit_all, listed
from tests.contracts.mailboxes import (
    NOON_MS,
    Writer,
    a_new_user,
    seen_and_flagged,
)

ARRIVALS = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), max_size=12)


SENDERS = ("Kim@example.org", "lee@example.org")
FOREVER_MS = 2**50
either = st.none() | st.booleans()


def arrivals(writer: Writer, prefix: str, given_: list[tuple[int, bool]]) -> list[Commit]:
    return [
        writer.deliver(
            f"{prefix}{number}", at_ms=at_ms, keywords=seen_and_flagged(seen=seen, flagged=False)
        )
        for number, (at_ms, seen) in enumerate(given_)
    ]


async def all_pages(store: MailStore, user: str, folder: str | None, wanted: Filter) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = await store.page(user, folder, conditions=wanted, limit=2, cursor=cursor)
        found += [row.message_id for row in page.messages]
        cursor = page.next_cursor
        if cursor is None:
            return found


async def pages_back(store: MailStore, user: str, folder, wanted: Filter, every: list) -> None:
    """The previous cursors lead back to the first page."""
    page = await store.page(user, folder, conditions=wanted, limit=2, cursor=None)
    assert page.previous_cursor is None
    while page.next_cursor is not None:
        page = await store.page(user, folder, conditions=wanted, limit=2, cursor=page.next_cursor)
    ids = [row.message_id for row in page.messages]
    while page.previous_cursor is not None:
        page = await store.page(
            user, folder, conditions=wanted, limit=2, cursor=page.previous_cursor
        )
        ids = [row.message_id for row in page.messages] + ids
    assert ids == every


async def positions_are_slices(
    store: MailStore, user: str, folder: str | None, wanted: Filter, every: list[str]
) -> None:
    for position in range(len(every) + 2):
        page = await store.page_at(user, folder, conditions=wanted, limit=2, position=position)
        shown = [row.message_id for row in page.messages]
        assert (shown, page.position) == (every[position : position + 2], position)
        assert (page.total, page.seq) == (len(every), (await store.state(user)).seq)
        if page.next_cursor is not None:
            after = await store.page(
                user, folder, conditions=wanted, limit=9, cursor=page.next_cursor
            )
            assert [row.message_id for row in after.messages] == every[position + 2 :][:9]
        if page.previous_cursor is not None:
            before = await store.page(
                user, folder, conditions=wanted, limit=1, cursor=page.previous_cursor
            )
            assert [row.message_id for row in before.messages] == every[position - 1 : position]


class MailboxReaderContract:
    async def test_a_message_of_two_folders_is_in_both_lists(self, store):
        ann = Writer()
        await commit_all(store, ann.deliver("a"), ann.move("a", "inbox", "archive"))
        assert await listed(store, "ann", "inbox") == [ann.id("a")]
        assert await listed(store, "ann", "archive") == [ann.id("a")]

    async def test_a_cursor_is_refused_elsewhere(self, store):
        for user in ("ann", "bob"):
            writer = Writer(user)
            await commit_all(store, *(writer.deliver(str(number)) for number in range(3)))
        page = await store.page("ann", "inbox", conditions=NO_FILTER, limit=1, cursor=None)
        cursor = page.next_cursor
        for user, folder, unread in (
            ("bob", "inbox", None),
            ("ann", "junk", None),
            ("ann", "inbox", True),
            ("ann", "inbox", False),
        ):
            with pytest.raises(Refused):
                await store.page(
                    user, folder, conditions=Filter(unread=unread), limit=1, cursor=cursor
                )
        await store.page("ann", "inbox", conditions=NO_FILTER, limit=500, cursor=cursor)

    @pytest.mark.parametrize(
        "rubbish", ["", "x", "0", "é", "\x00", "AAAA", "A" * 10_000, "....", "null", "=", "ab cd"]
    )
    async def test_rubbish_is_no_cursor(self, store, rubbish):
        with pytest.raises(Refused):
            await store.page("ann", "inbox", conditions=NO_FILTER, limit=1, cursor=rubbish)

    async def test_a_changed_cursor_is_refused(self, store):
        ann = Writer()
        await commit_all(store, ann.deliver("a"), ann.deliver("b"))
        page = await store.page("ann", "inbox", conditions=NO_FILTER, limit=1, cursor=None)
        cursor = page.next_cursor
        for at in range(0, len(cursor), 5):
            other = cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
            with pytest.raises(Refused):
                await store.page("ann", "inbox", conditions=NO_FILTER, limit=1, cursor=other)

    @pytest.mark.parametrize("limit", [0, -1, 501])
    async def test_a_page_has_1_to_500_messages(self, store, limit):
        with pytest.raises(Refused):
            await store.page("ann", "inbox", conditions=NO_FILTER, limit=limit, cursor=None)

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
                ann.user_id, "inbox", conditions=Filter(unread=unread), limit=limit, cursor=cursor
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
                st.sampled_from([(), (SEEN,), (FLAGGED,), (FLAGGED, SEEN), ("work",)]),
                st.sampled_from(["", "archive", "trash", "f1"]),
            ),
            max_size=10,
        ),
        keyword=st.sampled_from([None, None, "work", SEEN, FLAGGED]),
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
        for number, (at_ms, sender, attached, keywords, also_in) in enumerate(mails):
            ann_mail = ann.deliver(
                str(number), at_ms=at_ms, sender=sender, has_attachments=attached,
                keywords=keywords,
            )  # fmt: skip
            await store.commit(ann_mail)
            if also_in:
                await store.commit(ann.move(str(number), "inbox", also_in))
            told = (
                (asked["keyword"], asked["keyword"] if asked["keyword"] in keywords else ""),
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
        await pages_back(store, ann.user_id, folder, wanted, found)
        await positions_are_slices(store, ann.user_id, folder, wanted, found)

    async def test_a_position_is_within_bounds(self, store):
        for position in (-1, POSITION_MAX + 1):
            with pytest.raises(Refused):
                await store.page_at("ann", None, conditions=NO_FILTER, limit=1, position=position)
        with pytest.raises(Refused):
            await store.page_at("ann", None, conditions=NO_FILTER, limit=501, position=0)

    async def test_positions_in_very_many_folders(self, store):
        ann = Writer()
        for number in range(70):
            await store.commit(ann.deliver(str(number), folder=f"f{number}", at_ms=number % 7))
        await commit_all(store, ann.move("3", "f3", "f4"), ann.move("5", "inbox", "trash"))
        await positions_are_slices(store, "ann", None, NO_FILTER, ann.listed(None))
        await positions_are_slices(
            store, "ann", None, Filter(unread=True), ann.listed(None, unread=True)
        )

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

    async def test_rows_by_id_are_all_rows(self, store):
        ann = Writer("ann")
        await commit_all(store, *(ann.deliver(str(number)) for number in range(5)))
        await commit_all(store, ann.destroy("3"), Writer("bob").deliver("1"))
        first = await store.rows_after("ann", after_id="", limit=3)
        rest = await store.rows_after("ann", after_id=first[-1].message_id, limit=3)
        assert first + rest == sorted(ann.messages.values(), key=lambda row: row.message_id)
        assert await store.rows_after("nobody", after_id="", limit=3) == []
        for limit in (0, 501):
            with pytest.raises(Refused):
                await store.rows_after("ann", after_id="", limit=limit)

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
