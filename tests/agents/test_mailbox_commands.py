"""mailbox: effects and refusals of each command; test_mailbox_history.py has random histories."""

import pytest

from agents.mailbox import mailbox
from mail.ids import message_id
from schemas.events.legacy import DeleteMessages, current
from schemas.events.mailbox_commands import (
    ChangeFolder,
    ChangeMessages,
    DeleteFolder,
    DestroyMessages,
    EmptyFolder,
    MarkAllRead,
    TrashMessages,
)
from schemas.events.mailbox_events import CommandAnswered, MailboxChanged
from schemas.mail import HeaderSummary
from tests.support.agent_builders import OneTry, change, deliver, order
from tests.support.mailbox_world import MailboxWorld


@pytest.fixture
def world() -> MailboxWorld:
    return MailboxWorld()


async def test_one_command_on_many_messages_is_one_step(world: MailboxWorld) -> None:
    await world.deliver("m1", "m2")
    entry = await world.order(
        ChangeMessages, "m1", "m2", "m3", "m1", add_keywords=("Work",), add_folder_ids=("archive",)
    )
    assert isinstance(entry, MailboxChanged)
    assert (entry.seq, len(entry.changes)) == (3, 2)
    assert entry.not_found == (message_id("m3", "bob"),)
    assert {one.id: one.total for one in entry.folders} == {"archive": 2, "inbox": 2}
    assert [(await world.row(mail)).changed_seq for mail in ("m1", "m2")] == [3, 3]


async def test_a_message_is_always_in_a_folder(world: MailboxWorld) -> None:
    await world.deliver("m1", "m2")
    await world.order(ChangeMessages, "m1", add_folder_ids=("archive",))
    for fields in ({"set_folder_ids": ()}, {"remove_folder_ids": ("inbox",)}):
        answer = await world.order(ChangeMessages, "m2", **fields)
        assert (answer.outcome, bool(answer.detail)) == ("refused", True)
        assert answer.refusals == {message_id("m2", "bob"): answer.detail}
    entry = await world.order(ChangeMessages, "m1", "m2", remove_folder_ids=("inbox",))
    assert list(entry.refusals) == [message_id("m2", "bob")]
    assert await world.places("m1", "m2") == [{"archive"}, {"inbox"}]


@pytest.mark.parametrize("folder", ["attic", "", "all"])
async def test_a_missing_folder_is_refused(world: MailboxWorld, folder: str) -> None:
    await world.deliver("m1")
    for name in ("set_folder_ids", "add_folder_ids"):
        answer = await world.order(ChangeMessages, "m1", **{name: (folder,)})
        assert answer.outcome == "refused"


async def test_a_message_that_changed_since_it_was_read_is_left_as_it_is(
    world: MailboxWorld,
) -> None:
    await world.deliver("m1", "m2")
    words = {"add_keywords": ("Work",)}
    answer = await world.order(ChangeMessages, "m2", unchanged_since_seq=1, **words)
    assert (answer.outcome, answer.conflicts) == ("conflict", (message_id("m2", "bob"),))
    entry = await world.order(TrashMessages, "m1", "m2", unchanged_since_seq=1)
    assert (entry.seq, entry.conflicts) == (3, (message_id("m2", "bob"),))
    assert await world.places("m1", "m2") == [{"trash"}, {"inbox"}]


async def test_more_messages_than_one_step_may_change_are_refused(world: MailboxWorld) -> None:
    await world.deliver("m1")
    ids = [f"m{number}" for number in range(501)]
    assert (await world.order(TrashMessages, *ids)).outcome == "refused"


async def test_trashing_again_destroys_nothing(world: MailboxWorld) -> None:
    await world.deliver("m1")
    await world.order(ChangeMessages, "m1", add_folder_ids=("trash", "archive"))
    await world.order(TrashMessages, "m1")
    assert await world.places("m1") == [{"trash"}]
    assert (await world.order(TrashMessages, "m1")).outcome == "unchanged"
    older = order(DeleteMessages, "by an older version", "m1")
    assert (await world.do(current(older))).outcome == "unchanged"
    assert await world.places("m1") == [{"trash"}]
    assert await world.ports.holders.any_held(["m1"]) == {"m1"}


async def test_messages_are_destroyed_only_as_their_owner_saw_them(world: MailboxWorld) -> None:
    """Messages in trash or junk, unchanged since; other messages are skipped."""
    await world.deliver("m1", "m2", folder="trash")
    await world.deliver("m3", folder="junk")
    await world.deliver("m4")
    mails, seen_seq = ("m1", "m2", "m3", "m4", "m5"), 4
    await world.order(ChangeMessages, "m2", set_folder_ids=("inbox",))
    await world.order(ChangeMessages, "m2", set_folder_ids=("trash",))
    entry = await world.order(DestroyMessages, *mails, unchanged_since_seq=seen_seq)
    told = {one.message_id: one.change for one in entry.changes}
    assert told == dict.fromkeys((message_id(mail, "bob") for mail in ("m1", "m3")), "destroyed")
    assert (entry.not_found, entry.usage.messages) == ((message_id("m5", "bob"),), 2)
    assert await world.places(*mails[:4]) == [set(), {"trash"}, set(), {"inbox"}]
    assert await world.ports.holders.any_held(list(mails)) == {"m2", "m4"}
    again = await world.order(DestroyMessages, *mails, unchanged_since_seq=seen_seq)
    assert again.outcome == "conflict"
    assert set(again.not_found) == {message_id(mail, "bob") for mail in ("m1", "m3", "m5")}
    assert (await world.order(DestroyMessages, "m1", unchanged_since_seq=99)).outcome == "not_found"


async def test_a_mail_delivered_again_after_its_destruction_is_not_held(
    world: MailboxWorld,
) -> None:
    await world.deliver("m1", folder="trash")
    await world.order(DestroyMessages, "m1", unchanged_since_seq=1)
    await world.deliver("m1")
    assert (await world.row("m1")).destroyed
    assert await world.ports.holders.any_held(["m1"]) == set()


@pytest.mark.parametrize(
    "name",
    ["", " ", "a/b", "a\nb", "x" * 256, "\u2028", "Inbox", " wORK",
     "\u200b", "\u3164 \u2800", "\ufeff\u00ad", "W\u200bork", "work\u2060", "In\u00adbox",
     "\u200b Inbox"],
)  # fmt: skip
async def test_folder_names_are_visible_and_distinct(world: MailboxWorld, name: str) -> None:
    await world.folder("f1", "Work")
    answer = await world.folder("f2", name)
    assert (answer.outcome, bool(answer.detail)) == ("refused", True)


async def test_a_name_is_kept_composed_and_trimmed(world: MailboxWorld) -> None:
    entry = await world.folder("f1", " Caf\u0065\u0301 ")
    assert entry.folder_changes[0].name == "Caf\u00e9"
    assert (await world.folder("f2", "CAF\u00c9", "f1")).folder_changes[0].parent_id == "f1"
    joined = "\u0646\u0627\u0645\u0647\u200c\u0647\u0627"  # Persian needs its non-joiner
    assert (await world.folder("f3", joined)).folder_changes[0].name == joined


async def test_folders_nest_ten_deep_and_never_in_a_cycle(world: MailboxWorld) -> None:
    for depth in range(10):
        entry = await world.folder(f"f{depth}", "x", f"f{depth - 1}" if depth else "")
        assert isinstance(entry, MailboxChanged)
    assert (await world.folder("deep", "x", "f9")).outcome == "refused"
    await world.folder("g0", "y")
    await world.folder("g1", "y", "g0")
    move = await world.order(ChangeFolder, folder_id="g0", parent_id="f8")
    assert move.outcome == "refused"
    assert (await world.order(ChangeFolder, folder_id="f0", parent_id="f3")).outcome == "refused"
    assert (await world.order(ChangeFolder, folder_id="g0", parent_id="f7")).seq


async def test_there_are_at_most_500_folders(world: MailboxWorld) -> None:
    for number in range(500):
        await world.folder(f"f{number}", f"n{number}")
    assert (await world.folder("more", "more")).outcome == "refused"


@pytest.mark.parametrize("folder", ["inbox", "trash"])
async def test_standard_folders_cannot_be_changed_or_deleted(
    world: MailboxWorld, folder: str
) -> None:
    for kind, fields in ((ChangeFolder, {"name": "x"}), (DeleteFolder, {})):
        assert (await world.order(kind, folder_id=folder, **fields)).outcome == "refused"
    assert (await world.folder(folder, "x")).outcome == "refused"


async def test_a_deleted_folder_loses_no_message(world: MailboxWorld) -> None:
    await world.folder("f1", "Work")
    mails = [f"m{number}" for number in range(7)]
    await world.deliver(*mails, folder="f1")
    await world.order(ChangeMessages, "m3", add_folder_ids=("archive",))
    last = await world.order(DeleteFolder, folder_id="f1")
    assert last.origin_id
    found = await world.places(*mails)
    assert found == [{"archive"} if mail == "m3" else {"trash"} for mail in mails]
    state = await world.ports.store.load("bob")
    assert ("f1" in state.own, "f1" in state.folders) == (False, False)
    assert (await world.order(DeleteFolder, folder_id="f1")).outcome == "not_found"


async def test_a_folder_with_subfolders_is_not_deleted(world: MailboxWorld) -> None:
    await world.folder("f1", "Work")
    await world.folder("f2", "2026", "f1")
    assert (await world.order(DeleteFolder, folder_id="f1")).outcome == "refused"
    await world.order(DeleteFolder, folder_id="f2")
    assert (await world.order(DeleteFolder, folder_id="f1")).seq


async def test_a_message_that_arrives_during_a_deletion_stays(world: MailboxWorld) -> None:
    await world.folder("f1", "Work")
    await world.deliver("m1", "m2", "m3", "m4", folder="f1")
    work = OneTry(offset=100)
    entry, follow_up = await mailbox(order(DeleteFolder, "d", folder_id="f1"), work, world.ports)
    work.published()
    assert (entry.answers, entry.folder_changes[0].change) == ("", "destroyed")
    assert len(await world.ports.store.folders("bob")) == 6
    world._offset = 101
    await world.deliver("m5", folder="f1")
    assert (await world.order(ChangeMessages, "m5", add_folder_ids=("f1",))).outcome == "refused"
    event, *_ = await mailbox(follow_up, OneTry(offset=200), world.ports)
    assert event.answers == "d"
    assert await world.places("m4", "m5") == [{"trash"}, {"inbox"}]


async def test_emptying_destroys_in_trash_and_junk_only(world: MailboxWorld) -> None:
    for folder in ("trash", "junk", "archive"):
        mails = [f"{folder}{number}" for number in range(4)]
        await world.deliver(*mails, folder=folder)
        await world.order(ChangeMessages, mails[0], add_folder_ids=("inbox",))
        await world.order(EmptyFolder, folder_id=folder, bound_uid=5)
        rest = {"trash"} if folder == "archive" else set()
        assert await world.places(*mails) == [{"inbox"}, rest, rest, rest]
    held = await world.ports.holders.any_held(["trash0", "trash1", "junk1", "archive1"])
    assert held == {"trash0", "archive1"}


async def test_a_bulk_command_changes_only_what_its_owner_saw(world: MailboxWorld) -> None:
    """However late it is applied: messages that came, or came back, since have a higher uid."""
    await world.deliver("m1", "m2", folder="trash")
    await world.order(ChangeMessages, "m2", set_folder_ids=("inbox",))
    await world.order(TrashMessages, "m2")
    await world.deliver("m3", folder="trash")
    older = await world.order(EmptyFolder, folder_id="trash")
    assert (older.outcome, bool(older.detail)) == ("refused", True)
    await world.order(EmptyFolder, folder_id="trash", bound_uid=3)
    await world.order(MarkAllRead, folder_id="trash", bound_uid=4)
    assert await world.places("m1", "m2", "m3") == [set(), {"trash"}, {"trash"}]
    assert [(await world.row(mail)).keywords for mail in ("m2", "m3")] == [("$seen",), ()]
    await world.folder("f1", "Work")
    await world.deliver("m4", folder="f1")
    late = await world.order(DeleteFolder, folder_id="f1", bound_uid=1)
    assert (late.outcome, await world.places("m4")) == ("refused", [{"f1"}])
    assert (await world.order(DeleteFolder, folder_id="f1", bound_uid=2)).folder_changes


async def test_mark_all_read_skips_later_messages(world: MailboxWorld) -> None:
    await world.deliver(*(f"m{number}" for number in range(5)))
    work = OneTry(offset=100)
    _, follow_up = await mailbox(order(MarkAllRead, "r", folder_id="inbox"), work, world.ports)
    work.published()
    world._offset = 101
    await world.deliver("late")
    await mailbox(follow_up, OneTry(offset=200), world.ports)
    (inbox,) = [one for one in await world.ports.store.folders("bob") if one.role == "inbox"]
    assert inbox.counts.unread == 1
    assert "$seen" not in (await world.row("late")).keywords


@pytest.mark.parametrize("kind", [MarkAllRead, EmptyFolder, DeleteFolder])
async def test_bulk_commands_on_a_missing_folder_are_not_found(world: MailboxWorld, kind) -> None:
    answer = await world.order(kind, folder_id="attic")
    assert isinstance(answer, CommandAnswered)
    assert answer.outcome == "not_found"


async def test_replies_join_their_thread_and_other_messages_do_not(world: MailboxWorld) -> None:
    heads = {
        "m1": HeaderSummary(message_id="a"),
        "m2": HeaderSummary(message_id="b", in_reply_to=("a",)),
        "m3": HeaderSummary(message_id="d", references=("a", "c")),
        "m4": HeaderSummary(message_id="c"),  # its answer came first
        "m5": HeaderSummary(message_id="e"),
        "m6": HeaderSummary(),
        "m7": HeaderSummary(references=tuple(f"r{number}" for number in range(50))),
        "m8": HeaderSummary(message_id="r29"),  # too far back in that to be known
    }
    for mail, head in heads.items():
        await world.do(deliver(mail, head=head))
    threads = {mail: (await world.row(mail)).thread_id for mail in heads}
    assert len({threads[mail] for mail in ("m1", "m2", "m3", "m4")}) == 1
    assert len(set(threads.values())) == 5
    await world.do(change("x", "m2", add=["$seen"]))
    assert (await world.row("m2")).thread_id == threads["m2"]
