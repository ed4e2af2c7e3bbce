"""mailbox: the hard sequences of IMAP, played over the ports on the SQLite store.

There is no IMAP server here: an ImapSession is what one client knows. Each test names the
section that asks for what it shows.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mail.errors import JournalTruncated
from schemas.events.mailbox_commands import (
    ChangeFolder,
    ChangeMessages,
    CreateFolder,
    DeleteFolder,
    ExpungeMessages,
)
from schemas.folder_slots import DELETED_BIT, FLAGGED_BIT, SEEN_BIT
from schemas.mailbox import FLAGGED, SEEN
from stores.sqlite.mail_store.store import SqliteMailStore
from tests.support.imap_session import USER, ImapSession, copyuid
from tests.support.mailbox_world import MailboxWorld


@pytest.fixture
async def world(tmp_path: Path):
    store = await SqliteMailStore.open(tmp_path / "mail.sqlite")
    yield MailboxWorld(store=store)
    await store.close()


@pytest.fixture
async def alice(world: MailboxWorld) -> ImapSession:
    """A session on an inbox with m1 to m3, uids 1 to 3."""
    await world.deliver("m1", "m2", "m3")
    return await ImapSession(world).select()


@pytest.fixture
async def other(alice: ImapSession) -> ImapSession:
    """Another session on the same inbox."""
    return await ImapSession(alice.world).select()


async def order(session: ImapSession, kind, uids: tuple[int, ...], **fields):
    return await session.world.order(kind, message_ids=session.ids(*uids), **fields)


async def mark(session: ImapSession, *uids: int):
    """STORE +FLAGS (\\Deleted)."""
    return await order(session, ChangeMessages, uids, mark_deleted_in=(session.folder,))


async def expunge(session: ImapSession, *uids: int):
    """UID EXPUNGE (RFC 9051 §6.4.9); EXPUNGE names the marked uids that the session knows."""
    return await order(session, ExpungeMessages, uids, folder_id=session.folder, only_marked=True)


async def fold(world: MailboxWorld) -> None:
    """Take the steps so far out of the feed: the horizon is the present."""
    seq = (await world.ports.store.state(USER)).seq
    await world.ports.store.fold(USER, before_ms=2**50, to_seq=seq)


async def test_fetch_of_a_message_that_another_session_expunged(
    alice: ImapSession, other: ImapSession
) -> None:
    """RFC 9051 §7.5.1, RFC 2180 §4.1: numbers change only with EXPUNGE; the octets are there."""
    await mark(other, 2)
    await expunge(other, 2)
    (message_id,) = alice.ids(alice.uids()[1])
    row = await alice.store.message(USER, message_id)
    assert (row.destroyed, row.content.ref) == (True, "m2"), "FETCH 2 BODY[] can still be answered"
    assert alice.uids() == [1, 2, 3]
    assert await alice.sync() == ([2], [])
    assert alice.uids() == [1, 3], "number 2 is uid 3 from here"


async def test_store_on_a_message_that_another_session_expunged(
    alice: ImapSession, other: ImapSession
) -> None:
    """RFC 2180 §4.2, RFC 9051 §6.4.6: the others are changed, and the answer names what is gone."""
    await mark(other, 2)
    await expunge(other, 2)
    event = await order(alice, ChangeMessages, (1, 2, 3), add_keywords=(SEEN,))
    assert event.not_found == alice.ids(2)
    assert {one.message_id for one in event.changes} == set(alice.ids(1, 3))
    assert await alice.sync() == ([2], [1, 3])


async def test_a_mark_in_a_folder_that_the_message_left_does_not_follow_it(
    alice: ImapSession, other: ImapSession
) -> None:
    """RFC 9051 §2.3.2: \\Deleted belongs to the message in its folder, not in others."""
    await order(other, ChangeMessages, (2,), set_folder_ids=("archive",))
    answer = await mark(alice, 2)
    assert (answer.outcome, answer.changes if hasattr(answer, "changes") else ()) == (
        "unchanged",
        (),
    )
    archived = await ImapSession(alice.world, "archive").select()
    assert archived.marked() == []
    event = await expunge(alice, 2)
    assert event.not_found == alice.ids(2)
    assert await alice.sync() == ([2], [])


async def test_expunge_removes_what_is_marked_when_it_is_carried_out(
    alice: ImapSession, other: ImapSession
) -> None:
    """RFC 9051 §6.4.3: another session took the mark of uid 2 away in between."""
    await mark(alice, 1, 2)
    await alice.sync()
    await other.sync()
    await order(other, ChangeMessages, (2,), unmark_deleted_in=("inbox",))
    event = await expunge(alice, *alice.marked())
    assert event.conflicts == alice.ids(2)
    assert await alice.sync() == ([1], [2])
    assert alice.flags(2) & DELETED_BIT == 0


async def test_a_mark_is_that_of_one_folder_of_the_message(alice: ImapSession) -> None:
    """RFC 9051 §2.3.2, §6.4.3: an expunge of one folder leaves the message in the other one."""
    await order(alice, ChangeMessages, (1, 2), add_folder_ids=("archive",))
    archive = await ImapSession(alice.world, "archive").select()
    await mark(alice, 1)
    await order(archive, ChangeMessages, (2,), mark_deleted_in=("archive",))
    await alice.sync()
    await archive.sync()
    assert (alice.marked(), archive.marked()) == ([1], [2])
    assert (await expunge(archive, 1)).conflicts == archive.ids(1), "marked in the inbox only"
    await expunge(alice, 1)
    await expunge(archive, 2)
    assert (await alice.sync())[0] == [1]
    assert (await archive.sync())[0] == [2]
    assert (alice.uids(), archive.uids()) == ([2, 3], [1])
    assert archive.marked() == []
    row = await alice.store.message(USER, archive.ids(1)[0])
    assert (row.destroyed, row.places) == (False, {"archive": 1})


async def test_unchangedsince_changes_what_did_not_change_and_names_the_rest(
    alice: ImapSession, other: ImapSession
) -> None:
    """RFC 7162 §3.1.3: MODIFIED; the mod-sequence of a change is that of the response."""
    first = await order(other, ChangeMessages, (2,), add_keywords=(FLAGGED,))
    event = await order(
        alice, ChangeMessages, (1, 2, 3), add_keywords=(SEEN,), unchanged_since_seq=alice.highest
    )
    assert event.conflicts == alice.ids(2), "[MODIFIED 2]"
    assert await alice.sync() == ([], [1, 2, 3])
    assert [alice.modseq(uid) for uid in (1, 2, 3)] == [event.seq, first.seq, event.seq]
    assert [alice.flags(uid) & (SEEN_BIT | FLAGGED_BIT) for uid in (1, 2, 3)] == [1, 2, 1]
    assert alice.highest == (await alice.counts()).modseq == event.seq
    never = await order(
        alice, ChangeMessages, (1, 2, 3), add_keywords=(FLAGGED,), unchanged_since_seq=0
    )
    assert never.conflicts == alice.ids(1, 2, 3), "UNCHANGEDSINCE 0 always fails"


async def test_a_mark_changes_the_mod_sequence_and_an_unchanged_store_does_not(
    alice: ImapSession,
) -> None:
    """RFC 7162 §3.1.2: flags of any kind count, also \\Deleted."""
    before = alice.modseq(1)
    event = await mark(alice, 1)
    await alice.sync()
    assert alice.modseq(1) == event.seq > before
    assert (await mark(alice, 1)).outcome == "unchanged"
    assert await alice.sync() == ([], [])


async def test_highestmodseq_grows_with_an_expunge(alice: ImapSession, other: ImapSession) -> None:
    """RFC 7162 §3.1.2.1, §3.2.7: a client that has the new value knows that uid 3 vanished."""
    await mark(other, 3)
    await alice.sync()
    event = await expunge(other, 3)
    assert (await alice.counts()).modseq == event.seq > max(alice.modseq(uid) for uid in (1, 2, 3))


@pytest.mark.parametrize("folded", [False, True])
async def test_a_client_comes_back_with_qresync(alice: ImapSession, *, folded: bool) -> None:
    """RFC 7162 §3.2.5, §3.2.6: VANISHED (EARLIER) and changed flags, before and after a fold."""
    world, offline = alice.world, await ImapSession(alice.world).select()
    await order(alice, ChangeMessages, (1,), add_keywords=(SEEN,))
    await mark(alice, 2)
    await expunge(alice, 2)
    await world.deliver("m4", "m5")
    await alice.sync()
    await mark(alice, 5)
    await expunge(alice, 5)
    if folded:
        await fold(world)
        with pytest.raises(JournalTruncated):
            await alice.store.vanished(USER, "inbox", since_seq=offline.highest)
    assert await offline.resync() == ([2], [1, 4]), "uid 5 came and went: the client never saw it"
    assert await offline.is_exact()


async def test_uids_are_not_used_again(alice: ImapSession) -> None:
    """RFC 9051 §2.3.1.1: the highest uid was expunged, and its step is folded."""
    await mark(alice, 3)
    await expunge(alice, 3)
    await fold(alice.world)
    await alice.world.deliver("m4")
    await alice.sync()
    assert alice.uids() == [1, 2, 4]
    assert (await alice.counts()).next_uid == 5


async def test_a_rename_gives_the_folder_and_those_inside_it_new_uidvalidities(
    world: MailboxWorld,
) -> None:
    """RFC 9051 §2.3.1.1, §6.3.6: a name with its uidvalidity never means two folders."""
    await world.folder("f1", "work")
    await world.folder("f2", "inner", parent_id="f1")
    await world.deliver("m1", folder="f1")
    await world.deliver("m2", folder="f2")
    outer, inner = await ImapSession(world, "f1").select(), await ImapSession(world, "f2").select()
    before = [outer.uidvalidity, inner.uidvalidity]
    await world.order(ChangeFolder, folder_id="f1", name="old")
    assert [await outer.resync(), await inner.resync()] == [None, None]
    await world.folder("f3", "work")
    work = (await world.ports.store.state(USER)).folders["f3"].uidvalidity
    assert len({*before, outer.uidvalidity, inner.uidvalidity, work}) == 5
    assert work > max(before), "the name `work` again, with a higher value"
    assert (outer.uids(), inner.uids()) == ([1], [1])


async def test_a_folder_that_is_deleted_and_created_again_is_another_one(
    world: MailboxWorld,
) -> None:
    """RFC 9051 §6.3.5: within the same second, and uid 1 is another message."""
    await world.folder("f1", "work")
    await world.deliver("m1", folder="f1")
    old = await ImapSession(world, "f1").select()
    await world.order(DeleteFolder, folder_id="f1", rest="destroy", bound_uid=9)
    await world.order(CreateFolder, folder_id="f2", name="work")
    await world.deliver("m2", folder="f2")
    new = await ImapSession(world, "f2").select()
    assert (old.uids(), new.uids()) == ([1], [1])
    assert old.ids(1) != new.ids(1)
    assert new.uidvalidity > old.uidvalidity


async def test_copy_gives_uids_in_the_order_of_the_source(alice: ImapSession) -> None:
    """RFC 9051 §6.4.7, §7.1: COPYUID from the event; a copy keeps the flags, but for the mark."""
    await alice.world.deliver("m9", folder="archive")
    await order(alice, ChangeMessages, (2,), add_keywords=(FLAGGED,))
    await mark(alice, 3)
    event = await order(alice, ChangeMessages, (1, 2, 3), add_folder_ids=("archive",))
    assert copyuid(event, "inbox", "archive") == {1: 2, 2: 3, 3: 4}
    archive = await ImapSession(alice.world, "archive").select()
    assert archive.flags(3) & FLAGGED_BIT
    assert archive.marked() == []
    again = await order(alice, ChangeMessages, (1, 2), add_folder_ids=("archive",))
    assert again.outcome == "unchanged", "one place of a message in a folder: COPYUID names it"


async def test_move_ends_the_old_uids_and_names_the_new_ones(
    alice: ImapSession, other: ImapSession
) -> None:
    """RFC 6851 §3.3, §4.3: MOVE; uid 2 was moved away by another session before."""
    await order(other, ChangeMessages, (2,), set_folder_ids=("trash",))
    event = await order(
        alice, ChangeMessages, (1, 3), add_folder_ids=("archive",), remove_folder_ids=("inbox",)
    )
    assert copyuid(event, "inbox", "archive") == {1: 1, 3: 2}
    assert [one.left for one in event.changes] == [{"inbox": 1}, {"inbox": 3}]
    assert await alice.sync() == ([1, 2, 3], [])
    assert await alice.store.vanished(USER, "inbox", since_seq=event.seq - 1) == (1, 3)


async def test_move_to_the_same_folder_gives_new_uids(
    alice: ImapSession, other: ImapSession
) -> None:
    """RFC 6851 §3.2: the old uid vanishes, the message has a new uid, without its mark."""
    await mark(alice, 1)
    event = await order(alice, ChangeMessages, (1, 2), renew_uids_in=("inbox",))
    assert [(one.left["inbox"], one.places["inbox"]) for one in event.changes] == [(1, 4), (2, 5)]
    assert await other.sync() == ([1, 2], [4, 5])
    assert other.marked() == []
    assert await other.is_exact()


async def test_inbox_is_renamed_by_moving_its_messages(alice: ImapSession) -> None:
    """RFC 9051 §6.3.6: the messages go, in their order, and the inbox stays with its uids."""
    world = alice.world
    await world.folder("f1", "2024")
    event = await order(
        alice, ChangeMessages, (1, 2, 3), add_folder_ids=("f1",), remove_folder_ids=("inbox",)
    )
    assert copyuid(event, "inbox", "f1") == {1: 1, 2: 2, 3: 3}
    assert await alice.resync() == ([1, 2, 3], [])
    await world.deliver("m4")
    await alice.sync()
    assert alice.uids() == [4]


PLACES = ("inbox", "archive")
ACTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "deliver",
                "seen",
                "mark",
                "unmark",
                "expunge",
                "copy",
                "move",
                "renew",
                "fold",
                "sync",
            ]
        ),
        st.sampled_from(PLACES),
        st.integers(0, 9),
    ),
    max_size=40,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
@given(acts=ACTS)
async def test_any_history_leaves_every_client_with_the_folder_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, str, int]]
) -> None:
    """RFC 7162 §3.2.5: two clients that come back at any moments, over any horizon."""
    store = await SqliteMailStore.open(tmp_path_factory.mktemp("imap") / "mail.sqlite")
    world = MailboxWorld(store=store)
    for number, folder in enumerate(PLACES):
        await world.deliver(f"first{number}", folder=folder)
    actors = {folder: await ImapSession(world, folder).select() for folder in PLACES}
    readers = {folder: await ImapSession(world, folder).select() for folder in PLACES}
    for number, (act, folder, pick) in enumerate(acts):
        actor, target = actors[folder], PLACES[folder == PLACES[0]]
        await actor.sync()
        if act == "deliver":
            await world.deliver(f"m{number}", folder=folder)
        elif act == "fold":
            await fold(world)
        elif act == "sync":
            await readers[folder].resync()
            assert await readers[folder].is_exact()
        elif actor.known:
            uid = actor.uids()[pick % len(actor.known)]
            await COMMANDS[act](actor, uid, target)
    for session in (*actors.values(), *readers.values()):
        await session.resync()
        assert await session.is_exact()
        counts = await session.counts()
        assert all(uid < counts.next_uid for uid in session.known)
        assert all(session.modseq(uid) <= counts.modseq for uid in session.known)
    await store.close()


COMMANDS = {
    "seen": lambda it, uid, _: order(it, ChangeMessages, (uid,), add_keywords=(SEEN,)),
    "mark": lambda it, uid, _: mark(it, uid),
    "unmark": lambda it, uid, _: order(it, ChangeMessages, (uid,), unmark_deleted_in=(it.folder,)),
    "expunge": lambda it, uid, _: expunge(it, uid),
    "copy": lambda it, uid, to: order(it, ChangeMessages, (uid,), add_folder_ids=(to,)),
    "move": lambda it, uid, to: order(
        it, ChangeMessages, (uid,), add_folder_ids=(to,), remove_folder_ids=(it.folder,)
    ),
    "renew": lambda it, uid, _: order(it, ChangeMessages, (uid,), renew_uids_in=(it.folder,)),
}
