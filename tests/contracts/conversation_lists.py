"""Contract of ConversationLists: compared with lists that are computed from all messages."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.errors import Refused
from mail.pagination import POSITION_MAX
from mail.ports import Commit, MailStore
from schemas.conversations import (
    ALL_MAIL,
    Conversation,
    ConversationFilter,
    ConversationPage,
    ThreadCounts,
)
from schemas.mailbox import FLAGGED, SEEN, Message
from tests.contracts.mail_store_reads import FEW, commit_all
from tests.contracts.mailboxes import NOON_MS, Writer, a_new_user

FOLDERS = ("inbox", "sent", "junk", "trash", "f1")
NAMES = "abcdefgh"
WORDS = (SEEN, FLAGGED, "$draft", "work", "home")
NO_CONDITION = ConversationFilter()
FILTERS = (
    NO_CONDITION,
    ConversationFilter(unread=True),
    ConversationFilter(unread=False),
    ConversationFilter(flagged=True, keyword="work"),
    ConversationFilter(has_attachments=True),
    ConversationFilter(has_attachments=False, flagged=False),
    ConversationFilter(keyword="home"),
)
_in_list = st.lists(st.sampled_from(FOLDERS), max_size=3, unique=True)
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["deliver", "move", "mark", "mark_deleted", "destroy", "several"]),
        st.sampled_from(NAMES),
        st.integers(0, 4),
        _in_list,
        st.lists(st.sampled_from(WORDS), max_size=3, unique=True),
    ),
    max_size=30,
)


def act(writer: Writer, action: tuple) -> Commit | None:
    """The commit of a random action; None: it does not apply."""
    kind, name, number, folders, words = action
    row = writer.messages.get(writer.id(name))
    if kind == "deliver" and row is None:
        return writer.deliver(
            name, at_ms=NOON_MS + number, folder=(*folders, "inbox")[0], keywords=tuple(words),
            has_attachments=number == 1, thread=f"t{NAMES.index(name) % 3}",
        )  # fmt: skip
    if row is None or row.destroyed or kind == "deliver":
        return None
    alive = [n for n in NAMES if (it := writer.messages.get(writer.id(n))) and it.places]
    marked = set(folders) & row.places.keys()
    changes = {
        "move": lambda: writer.move(name, *(folders or ("archive",))),
        "mark": lambda: writer.mark(name, *words),
        "mark_deleted": lambda: writer.mark_deleted(name, *marked),
        "several": lambda: writer.several(*alive, keywords=tuple(words)),
        "destroy": lambda: writer.destroy(name),
    }
    return changes[kind]()


def shown_in(row: Message, list_id: str) -> bool:
    shown = set(row.places) - set(row.deleted_in)
    return bool(shown - {"junk", "trash"}) if list_id == ALL_MAIL else list_id in shown


def expected(writer: Writer, list_id: str) -> list[tuple]:
    """The rows of a list, newest first."""
    threads: dict[str, list[Message]] = defaultdict(list)
    for row in writer.messages.values():
        if shown_in(row, list_id):
            threads[row.thread_id].append(row)
    rows = []
    for thread_id, found in threads.items():
        found.sort(key=lambda row: (row.received_at_ms, row.message_id), reverse=True)
        words = {word for row in found for word in row.keywords}
        unread = sum(SEEN not in row.keywords for row in found)
        attached = any(row.head.has_attachments for row in found)
        rows.append(
            (
                found[0].received_at_ms, found[0].message_id, thread_id, len(found), unread,
                FLAGGED in words, attached, "$draft" in words, tuple(sorted(words - {SEEN})),
                tuple(row.message_id for row in found),
            )
        )  # fmt: skip
    return sorted(rows, reverse=True)


def as_expected(row: Conversation) -> tuple:
    return (
        row.received_at_ms, row.latest_id, row.thread_id, row.total, row.unread, row.is_flagged,
        row.has_attachments, row.has_draft, row.keywords, row.message_ids,
    )  # fmt: skip


def meets(row: tuple, wanted: ConversationFilter) -> bool:
    return (
        wanted.unread in (None, row[4] > 0)
        and wanted.flagged in (None, row[5])
        and wanted.has_attachments in (None, row[6])
        and (wanted.keyword is None or wanted.keyword in row[8])
    )


def ids(page: ConversationPage) -> list[str]:
    return [row.thread_id for row in page.conversations]


async def shows_what(store: MailStore, writer: Writer) -> None:
    """Every list, by cursors and by positions, is what follows from the messages."""
    user, counts = writer.user_id, await store.thread_counts(writer.user_id)
    for list_id in (ALL_MAIL, *FOLDERS, "archive"):
        every = expected(writer, list_id)
        unread = sum(row[4] > 0 for row in every)
        assert counts.get(list_id, ThreadCounts()) == ThreadCounts(len(every), unread)
        for wanted in FILTERS:
            rows = [row for row in every if meets(row, wanted)]
            whole = await store.conversations_at(
                user, list_id or None, conditions=wanted, limit=500, position=0
            )
            assert [as_expected(row) for row in whole.conversations] == rows
            assert (whole.total, whole.position, whole.seq) == (len(rows), 0, writer.state.seq)
            assert whole.next_cursor is whole.previous_cursor is None
            await _pages(store, user, list_id or None, wanted, ids(whole))
            if wanted == NO_CONDITION:
                await _threads_of_list(store, user, list_id, whole)


async def _threads_of_list(
    store: MailStore, user: str, list_id: str, whole: ConversationPage
) -> None:
    """Each thread has the row of the list there, and no row where the list does not show it."""
    every = await store.conversations_at(user, None, conditions=NO_CONDITION, limit=500, position=0)
    asked = {*ids(whole), *ids(every), "unknown"}
    found = await store.thread_lists(user, sorted(asked))
    rows = {id_: lists[list_id] for id_, lists in found.lists.items() if list_id in lists}
    assert rows == {row.thread_id: row for row in whole.conversations}
    assert found.seq == whole.seq


async def _pages(store: MailStore, user: str, folder: str | None, wanted, every: list) -> None:
    """By cursor there and back, and by each position."""
    pages = [await store.conversations(user, folder, conditions=wanted, limit=2, cursor=None)]
    assert pages[0].previous_cursor is None
    while (cursor := pages[-1].next_cursor) is not None:
        pages.append(
            await store.conversations(user, folder, conditions=wanted, limit=2, cursor=cursor)
        )
    assert [id_ for page in pages for id_ in ids(page)] == every
    for before, page in zip(reversed(pages[:-1]), reversed(pages[1:]), strict=True):
        again = await store.conversations(
            user, folder, conditions=wanted, limit=2, cursor=page.previous_cursor
        )
        assert ids(again) == ids(before)
    for position in range(len(every) + 1):
        at = await store.conversations_at(
            user, folder, conditions=wanted, limit=2, position=position
        )
        assert ids(at) == every[position : position + 2]
        assert (at.next_cursor is None) == (position + 2 >= len(every))
        assert (at.previous_cursor is None) == (position in (0, len(every)))


class ConversationListsContract:
    @FEW
    @given(actions=ACTIONS)
    async def test_any_history_leaves_what_follows_from_the_messages(self, store, actions):
        ann = a_new_user()
        await store.commit(ann.folder("created", "f1", "Work"))
        for number, action in enumerate(actions):
            commit = act(ann, action)
            if commit is not None:
                await store.commit(commit)
            if number % 10 == 9:
                await shows_what(store, ann)
        await shows_what(store, ann)
        assert (await store.check(ann.user_id)).differences == ()

    async def test_a_conversation_shows_its_folders_and_the_owners_answers(self, store):
        ann = Writer()
        await commit_all(
            store,
            ann.deliver("a", thread="t"),
            ann.deliver("b", thread="t", folder="sent", at_ms=NOON_MS + 1),
            ann.deliver("c", thread="t", folder="trash", at_ms=NOON_MS + 2),
        )
        (row,) = (
            await store.conversations("ann", "inbox", conditions=NO_CONDITION, limit=9, cursor=None)
        ).conversations
        assert row.folder_ids == ("inbox", "sent", "trash")
        assert (row.total, row.message_ids) == (1, (ann.id("a"),))
        assert [one.message_id for one in row.recent] == [ann.id("b"), ann.id("a")]
        (row,) = (
            await store.conversations("ann", None, conditions=NO_CONDITION, limit=9, cursor=None)
        ).conversations
        assert row.message_ids == (ann.id("b"), ann.id("a"))

    async def test_a_long_conversation_shows_its_newest_messages(self, store):
        ann = Writer()
        made = [ann.deliver(str(n), at_ms=NOON_MS + n, thread="t") for n in range(110)]
        await commit_all(store, *made)
        page = await store.conversations("ann", None, conditions=NO_CONDITION, limit=9, cursor=None)
        (row,) = page.conversations
        assert (row.total, row.unread, row.latest_id) == (110, 110, ann.id("109"))
        assert row.message_ids == tuple(ann.id(str(n)) for n in range(109, 9, -1))
        assert [one.message_id for one in row.recent] == list(row.message_ids[:20])

    async def test_a_cursor_or_a_position_of_elsewhere_is_refused(self, store):
        for user in ("ann", "bob"):
            writer = Writer(user)
            await commit_all(store, *(writer.deliver(str(number)) for number in range(3)))
        page = await store.conversations(
            "ann", "inbox", conditions=NO_CONDITION, limit=1, cursor=None
        )
        unread = ConversationFilter(unread=True)
        for user, folder, wanted, cursor in (
            ("bob", "inbox", NO_CONDITION, page.next_cursor),
            ("ann", None, NO_CONDITION, page.next_cursor),
            ("ann", "inbox", unread, page.next_cursor),
            ("ann", "inbox", NO_CONDITION, "rubbish"),
        ):
            with pytest.raises(Refused):
                await store.conversations(user, folder, conditions=wanted, limit=1, cursor=cursor)
        for limit, position in ((0, 0), (501, 0), (1, -1), (1, POSITION_MAX + 1)):
            with pytest.raises(Refused):
                await store.conversations_at(
                    "ann", "inbox", conditions=NO_CONDITION, limit=limit, position=position
                )
