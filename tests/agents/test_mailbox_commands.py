"""mailbox: what each order does and refuses; random histories are in test_mailbox_history.py."""

import pytest

from agents.mailbox import mailbox
from mail.ids import holder_of, message_id
from schemas.events.legacy import DeleteMessages, current
from schemas.events.mailbox_commands import (
    ChangeFolder,
    ChangeMessages,
    CreateFolder,
    DeleteFolder,
    DestroyMessages,
    EmptyFolder,
    MarkAllRead,
    TrashMessages,
)
from schemas.events.mailbox_events import CommandAnswered, MailboxChanged
from schemas.holders import Holder
from schemas.mail import HeaderSummary
from tests.support.agent_builders import OneTry, change, deliver, mailbox_ports, order


class Desk:
    """A mailbox, and the log from which it works; follow-ups go to the log's end."""

    def __init__(self) -> None:
        self.ports = mailbox_ports(chunk_max=3)
        self._offset = 0
        self._ids = 0

    async def do(self, command):
        """The event that answers the command."""
        log = [command]
        while True:
            work = OneTry(offset=self._offset)
            self._offset += 1
            event, *follow_ups = await mailbox(log.pop(0), work, self.ports)
            work.published()
            log += follow_ups
            if event.answers:
                assert event.answers == command.command_id
                return event

    async def order(self, kind, *mails: str, **fields):
        self._ids += 1
        return await self.do(order(kind, f"c{self._ids}", *mails, **fields))

    async def deliver(self, *mails: str, folder: str = "inbox") -> None:
        for mail in mails:
            name = holder_of(mail, "bob", message_id(mail, "bob"))
            await self.ports.holders.hold([Holder(mail_id=mail, holder=name, ref=mail)])
            await self.do(deliver(mail, folder_id=folder))

    async def folder(self, id_: str, name: str, parent_id: str = ""):
        return await self.order(CreateFolder, folder_id=id_, name=name, parent_id=parent_id)

    async def row(self, mail: str):
        return await self.ports.store.message("bob", message_id(mail, "bob"))

    async def places(self, *mails: str) -> list[set[str]]:
        return [set((await self.row(mail)).places) for mail in mails]


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_one_order_to_many_is_one_step(desk: Desk) -> None:
    await desk.deliver("m1", "m2")
    entry = await desk.order(
        ChangeMessages, "m1", "m2", "m3", "m1", add_keywords=("Work",), add_folder_ids=("archive",)
    )
    assert isinstance(entry, MailboxChanged)
    assert (entry.seq, len(entry.changes)) == (3, 2)
    assert entry.not_found == (message_id("m3", "bob"),)
    assert {one.id: one.total for one in entry.folders} == {"archive": 2, "inbox": 2}
    assert [(await desk.row(mail)).changed_seq for mail in ("m1", "m2")] == [3, 3]


async def test_a_message_lies_somewhere_always(desk: Desk) -> None:
    await desk.deliver("m1", "m2")
    await desk.order(ChangeMessages, "m1", add_folder_ids=("archive",))
    for fields in ({"set_folder_ids": ()}, {"remove_folder_ids": ("inbox",)}):
        answer = await desk.order(ChangeMessages, "m1", "m2", **fields)
        assert (answer.outcome, bool(answer.detail)) == ("refused", True)
    assert await desk.places("m1", "m2") == [{"inbox", "archive"}, {"inbox"}]


@pytest.mark.parametrize("folder", ["attic", "", "all"])
async def test_no_message_goes_where_no_folder_is(desk: Desk, folder: str) -> None:
    await desk.deliver("m1")
    for name in ("set_folder_ids", "add_folder_ids"):
        answer = await desk.order(ChangeMessages, "m1", **{name: (folder,)})
        assert answer.outcome == "refused"


async def test_if_changed_seq_holds_for_every_message(desk: Desk) -> None:
    await desk.deliver("m1", "m2")
    words = {"add_keywords": ("Work",)}
    assert (await desk.order(ChangeMessages, "m1", if_changed_seq=2, **words)).outcome == "conflict"
    assert (await desk.order(TrashMessages, "m1", "m2", if_changed_seq=1)).outcome == "conflict"
    assert (await desk.order(ChangeMessages, "m1", if_changed_seq=1, **words)).seq == 3


async def test_more_than_one_step_has_room_for_is_refused(desk: Desk) -> None:
    await desk.deliver("m1")
    ids = [f"m{number}" for number in range(501)]
    assert (await desk.order(TrashMessages, *ids)).outcome == "refused"


async def test_to_the_trash_is_never_further_however_often(desk: Desk) -> None:
    await desk.deliver("m1")
    await desk.order(ChangeMessages, "m1", add_folder_ids=("trash", "archive"))
    await desk.order(TrashMessages, "m1")
    assert await desk.places("m1") == [{"trash"}]
    assert (await desk.order(TrashMessages, "m1")).outcome == "unchanged"
    older = order(DeleteMessages, "by an older version", "m1")
    assert (await desk.do(current(older))).outcome == "unchanged"
    assert await desk.places("m1") == [{"trash"}]
    assert await desk.ports.holders.any_held(["m1"]) == {"m1"}


async def test_destroyed_is_what_lies_as_its_owner_saw_it(desk: Desk) -> None:
    """In trash or junk, unchanged since; the rest is passed over."""
    await desk.deliver("m1", "m2", folder="trash")
    await desk.deliver("m3", folder="junk")
    await desk.deliver("m4")
    mails, seen_seq = ("m1", "m2", "m3", "m4", "m5"), 4
    await desk.order(ChangeMessages, "m2", set_folder_ids=("inbox",))
    await desk.order(ChangeMessages, "m2", set_folder_ids=("trash",))
    entry = await desk.order(DestroyMessages, *mails, unchanged_since_seq=seen_seq)
    told = {one.message_id: one.change for one in entry.changes}
    assert told == dict.fromkeys((message_id(mail, "bob") for mail in ("m1", "m3")), "destroyed")
    assert (entry.not_found, entry.usage.messages) == ((message_id("m5", "bob"),), 2)
    assert await desk.places(*mails[:4]) == [set(), {"trash"}, set(), {"inbox"}]
    assert await desk.ports.holders.any_held(list(mails)) == {"m2", "m4"}
    again = await desk.order(DestroyMessages, *mails, unchanged_since_seq=seen_seq)
    assert again.outcome == "conflict"
    assert set(again.not_found) == {message_id(mail, "bob") for mail in ("m1", "m3", "m5")}
    assert (await desk.order(DestroyMessages, "m1", unchanged_since_seq=99)).outcome == "not_found"


async def test_a_mail_that_comes_again_after_its_end_is_not_held(desk: Desk) -> None:
    await desk.deliver("m1", folder="trash")
    await desk.order(DestroyMessages, "m1", unchanged_since_seq=1)
    await desk.deliver("m1")
    assert (await desk.row("m1")).destroyed
    assert await desk.ports.holders.any_held(["m1"]) == set()


@pytest.mark.parametrize(
    "name",
    ["", " ", "a/b", "a\nb", "x" * 256, "\u2028", "Inbox", " wORK",
     "\u200b", "\u3164 \u2800", "\ufeff\u00ad", "W\u200bork", "work\u2060", "In\u00adbox",
     "\u200b Inbox"],
)  # fmt: skip
async def test_names_of_folders_are_fit_to_be_seen(desk: Desk, name: str) -> None:
    await desk.folder("f1", "Work")
    answer = await desk.folder("f2", name)
    assert (answer.outcome, bool(answer.detail)) == ("refused", True)


async def test_a_name_is_kept_composed_and_trimmed(desk: Desk) -> None:
    entry = await desk.folder("f1", " Caf\u0065\u0301 ")
    assert entry.folder_changes[0].name == "Caf\u00e9"
    assert (await desk.folder("f2", "CAF\u00c9", "f1")).folder_changes[0].parent_id == "f1"
    joined = "\u0646\u0627\u0645\u0647\u200c\u0647\u0627"  # Persian needs its non-joiner
    assert (await desk.folder("f3", joined)).folder_changes[0].name == joined


async def test_folders_nest_ten_deep_and_never_in_a_ring(desk: Desk) -> None:
    for depth in range(10):
        entry = await desk.folder(f"f{depth}", "x", f"f{depth - 1}" if depth else "")
        assert isinstance(entry, MailboxChanged)
    assert (await desk.folder("deep", "x", "f9")).outcome == "refused"
    await desk.folder("g0", "y")
    await desk.folder("g1", "y", "g0")
    move = await desk.order(ChangeFolder, folder_id="g0", parent_id="f8")
    assert move.outcome == "refused"
    assert (await desk.order(ChangeFolder, folder_id="f0", parent_id="f3")).outcome == "refused"
    assert (await desk.order(ChangeFolder, folder_id="g0", parent_id="f7")).seq


async def test_there_are_at_most_500_folders(desk: Desk) -> None:
    for number in range(500):
        await desk.folder(f"f{number}", f"n{number}")
    assert (await desk.folder("more", "more")).outcome == "refused"


@pytest.mark.parametrize("folder", ["inbox", "trash"])
async def test_standard_folders_stay(desk: Desk, folder: str) -> None:
    for kind, fields in ((ChangeFolder, {"name": "x"}), (DeleteFolder, {})):
        assert (await desk.order(kind, folder_id=folder, **fields)).outcome == "refused"
    assert (await desk.folder(folder, "x")).outcome == "refused"


async def test_of_a_deleted_folder_nothing_is_lost(desk: Desk) -> None:
    await desk.folder("f1", "Work")
    mails = [f"m{number}" for number in range(7)]
    await desk.deliver(*mails, folder="f1")
    await desk.order(ChangeMessages, "m3", add_folder_ids=("archive",))
    last = await desk.order(DeleteFolder, folder_id="f1")
    assert last.origin_id
    found = await desk.places(*mails)
    assert found == [{"archive"} if mail == "m3" else {"trash"} for mail in mails]
    state = await desk.ports.store.load("bob")
    assert ("f1" in state.own, "f1" in state.folders) == (False, False)
    assert (await desk.order(DeleteFolder, folder_id="f1")).outcome == "not_found"


async def test_a_folder_with_folders_inside_stays(desk: Desk) -> None:
    await desk.folder("f1", "Work")
    await desk.folder("f2", "2026", "f1")
    assert (await desk.order(DeleteFolder, folder_id="f1")).outcome == "refused"
    await desk.order(DeleteFolder, folder_id="f2")
    assert (await desk.order(DeleteFolder, folder_id="f1")).seq


async def test_what_comes_while_a_folder_goes_is_not_swept_along(desk: Desk) -> None:
    await desk.folder("f1", "Work")
    await desk.deliver("m1", "m2", "m3", "m4", folder="f1")
    work = OneTry(offset=100)
    entry, follow_up = await mailbox(order(DeleteFolder, "d", folder_id="f1"), work, desk.ports)
    work.published()
    assert (entry.answers, entry.folder_changes[0].change) == ("", "destroyed")
    assert len(await desk.ports.store.folders("bob")) == 6
    desk._offset = 101
    await desk.deliver("m5", folder="f1")
    assert (await desk.order(ChangeMessages, "m5", add_folder_ids=("f1",))).outcome == "refused"
    event, *_ = await mailbox(follow_up, OneTry(offset=200), desk.ports)
    assert event.answers == "d"
    assert await desk.places("m4", "m5") == [{"trash"}, {"inbox"}]


async def test_emptying_trash_and_junk_is_for_good_elsewhere_it_is_not(desk: Desk) -> None:
    for folder in ("trash", "junk", "archive"):
        mails = [f"{folder}{number}" for number in range(4)]
        await desk.deliver(*mails, folder=folder)
        await desk.order(ChangeMessages, mails[0], add_folder_ids=("inbox",))
        await desk.order(EmptyFolder, folder_id=folder, bound_uid=5)
        rest = {"trash"} if folder == "archive" else set()
        assert await desk.places(*mails) == [{"inbox"}, rest, rest, rest]
    held = await desk.ports.holders.any_held(["trash0", "trash1", "junk1", "archive1"])
    assert held == {"trash0", "archive1"}


async def test_an_order_to_a_folder_holds_for_what_its_owner_saw(desk: Desk) -> None:
    """However late it is carried out: what came, or came back, since has a higher uid."""
    await desk.deliver("m1", "m2", folder="trash")
    await desk.order(ChangeMessages, "m2", set_folder_ids=("inbox",))
    await desk.order(TrashMessages, "m2")
    await desk.deliver("m3", folder="trash")
    older = await desk.order(EmptyFolder, folder_id="trash")
    assert (older.outcome, bool(older.detail)) == ("refused", True)
    await desk.order(EmptyFolder, folder_id="trash", bound_uid=3)
    await desk.order(MarkAllRead, folder_id="trash", bound_uid=4)
    assert await desk.places("m1", "m2", "m3") == [set(), {"trash"}, {"trash"}]
    assert [(await desk.row(mail)).keywords for mail in ("m2", "m3")] == [("$seen",), ()]
    await desk.folder("f1", "Work")
    await desk.deliver("m4", folder="f1")
    late = await desk.order(DeleteFolder, folder_id="f1", bound_uid=1)
    assert (late.outcome, await desk.places("m4")) == ("refused", [{"f1"}])
    assert (await desk.order(DeleteFolder, folder_id="f1", bound_uid=2)).folder_changes


async def test_all_read_does_not_touch_what_comes_later(desk: Desk) -> None:
    await desk.deliver(*(f"m{number}" for number in range(5)))
    work = OneTry(offset=100)
    _, follow_up = await mailbox(order(MarkAllRead, "r", folder_id="inbox"), work, desk.ports)
    work.published()
    desk._offset = 101
    await desk.deliver("late")
    await mailbox(follow_up, OneTry(offset=200), desk.ports)
    (inbox,) = [one for one in await desk.ports.store.folders("bob") if one.role == "inbox"]
    assert inbox.counts.unread == 1
    assert "$seen" not in (await desk.row("late")).keywords


@pytest.mark.parametrize("kind", [MarkAllRead, EmptyFolder, DeleteFolder])
async def test_orders_to_no_folder_find_nothing(desk: Desk, kind) -> None:
    answer = await desk.order(kind, folder_id="attic")
    assert isinstance(answer, CommandAnswered)
    assert answer.outcome == "not_found"


async def test_answers_join_their_conversation_and_others_do_not(desk: Desk) -> None:
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
        await desk.do(deliver(mail, head=head))
    threads = {mail: (await desk.row(mail)).thread_id for mail in heads}
    assert len({threads[mail] for mail in ("m1", "m2", "m3", "m4")}) == 1
    assert len(set(threads.values())) == 5
    await desk.do(change("x", "m2", add=["$seen"]))
    assert (await desk.row("m2")).thread_id == threads["m2"]
