"""mailbox: marks of deletion, expunging, batches, uidvalidity, settings of folders."""

import pytest

from mail.ids import message_id
from schemas.events.mailbox_commands import (
    Batch,
    ChangeFolder,
    ChangeMessages,
    ChangeSubscriptions,
    DeleteFolder,
    ExpungeMessages,
    TrashMessages,
)
from schemas.mailbox import FolderSettings, TypeSeqs
from tests.support.agent_builders import deliver, order
from tests.support.mailbox_world import MailboxWorld


@pytest.fixture
def world() -> MailboxWorld:
    return MailboxWorld()


async def test_a_mark_of_deletion_belongs_to_one_folder(world: MailboxWorld) -> None:
    """RFC 8621 §4.1.1: a message that is marked as deleted is neither visible nor counted."""
    await world.deliver("m1")
    await world.order(ChangeMessages, "m1", add_folder_ids=("archive",))
    entry = await world.order(ChangeMessages, "m1", mark_deleted_in=("inbox", "trash"))
    (change_,) = entry.changes
    assert change_.deleted_in == ("inbox",), "it is not in the trash"
    assert [(one.id, one.total, one.deleted) for one in entry.folders] == [
        ("inbox", 0, 1),
        ("archive", 1, 0),
    ]
    expunge = {"folder_id": "inbox", "only_marked": True}
    entry = await world.order(ExpungeMessages, "m1", **expunge)
    assert entry.changes[0].left == {"inbox": 1}
    assert await world.places("m1") == [{"archive"}]
    assert (await world.order(ExpungeMessages, "m1", **expunge)).outcome == "not_found"
    answer = await world.order(ExpungeMessages, "m1", folder_id="archive", only_marked=True)
    assert answer.outcome == "conflict"
    entry = await world.order(ExpungeMessages, "m1")
    assert entry.changes[0].change == "destroyed"
    assert await world.ports.holders.any_held(["m1"]) == set()


async def test_a_folder_of_another_full_name_has_another_uidvalidity(world: MailboxWorld) -> None:
    """RFC 9051 §2.3.1.1: name, uidvalidity and uid never mean another message."""
    given = []
    for id_ in ("f1", "f2"):
        entry = await world.folder(id_, "Projects")
        given.append(entry.folders[0].uidvalidity)
        await world.order(DeleteFolder, folder_id=id_)
    await world.folder("f3", "Projects")
    await world.folder("f4", "inside", "f3")
    entry = await world.order(ChangeFolder, folder_id="f3", name="Old projects")
    given += [one.uidvalidity for one in entry.folders]
    assert given == sorted(set(given))
    assert len(given) == 4


async def test_a_folder_may_destroy_its_messages_or_refuse(world: MailboxWorld) -> None:
    await world.folder("f1", "Work")
    await world.deliver("m1", folder="f1")
    assert (await world.order(DeleteFolder, folder_id="f1", rest="refuse")).outcome == "refused"
    await world.order(DeleteFolder, folder_id="f1", rest="destroy")
    assert (await world.row("m1")).destroyed


async def test_a_batch_is_one_step_with_an_outcome_for_each_message(world: MailboxWorld) -> None:
    await world.deliver("m1", "m2")
    draft = deliver("m3", folder_id="drafts", strict=True, more_folder_ids=("archive",))
    parts = (
        draft,
        order(ExpungeMessages, "", "m1"),
        order(ChangeMessages, "", "m2", add_keywords=("$seen",), unchanged_since_seq=1),
        order(TrashMessages, "", "m9"),
    )
    entry = await world.order(Batch, parts=parts)
    assert entry.seq == 3
    assert [one.change for one in entry.changes] == ["created", "destroyed"]
    assert entry.conflicts == (message_id("m2", "bob"),)
    assert entry.not_found == (message_id("m9", "bob"),)
    assert set((await world.row("m3")).places) == {"drafts", "archive"}


async def test_an_atomic_batch_changes_all_or_nothing(world: MailboxWorld) -> None:
    """A saved draft replaces the former one, unless that was changed elsewhere meanwhile."""
    await world.deliver("m1", folder="drafts")

    def save(mail: str, former: str, seq: int):
        expunge = order(ExpungeMessages, "", former, unchanged_since_seq=seq)
        return (deliver(mail, folder_id="drafts"), expunge)

    entry = await world.order(Batch, parts=save("m2", "m1", 1), is_atomic=True)
    assert {one.change for one in entry.changes} == {"created", "destroyed"}
    await world.order(ChangeMessages, "m2", add_keywords=("$seen",))
    answer = await world.order(Batch, parts=save("m3", "m2", 2), is_atomic=True)
    assert (answer.outcome, answer.conflicts) == ("conflict", (message_id("m2", "bob"),))
    assert await world.row("m3") is None
    stale = await world.order(Batch, parts=(deliver("m4"),), if_messages_seq=2)
    assert stale.outcome == "conflict"
    assert (await world.order(Batch, parts=(deliver("m4"),), if_messages_seq=3)).seq == 4


@pytest.mark.parametrize(
    "parts",
    [
        (order(TrashMessages, "", "m1"), order(ExpungeMessages, "", "m1")),
        (order(TrashMessages, "", *(f"m{number}" for number in range(501))),),
    ],
)
async def test_a_batch_names_at_most_500_messages_each_once(world: MailboxWorld, parts) -> None:
    await world.deliver("m1")
    answer = await world.order(Batch, parts=parts)
    assert (answer.outcome, bool(answer.detail)) == ("refused", True)


async def test_a_strict_delivery_needs_its_folder(world: MailboxWorld) -> None:
    answer = await world.do(deliver("m1", folder_id="gone", strict=True))
    assert answer.outcome == "refused"
    entry = await world.do(deliver("m2", folder_id="gone", more_folder_ids=("inbox",)))
    assert set(entry.changes[0].places) == {"inbox"}


async def test_settings_of_folders_and_subscribed_names(world: MailboxWorld) -> None:
    entry = await world.order(ChangeFolder, folder_id="sent", subscribed=False, sort_order=7)
    assert (entry.folder_changes[0].change, entry.folder_changes[0].name) == ("updated", "")
    state = await world.ports.store.load("bob")
    assert state.settings["sent"] == FolderSettings(subscribed=False, sort_order=7)
    again = await world.order(ChangeFolder, folder_id="sent", subscribed=False)
    assert again.outcome == "unchanged"
    await world.order(ChangeFolder, folder_id="sent", subscribed=True, sort_order=0)
    assert (await world.ports.store.load("bob")).settings == {}
    assert (await world.order(ChangeFolder, folder_id="gone", sort_order=1)).outcome == "not_found"
    await world.order(ChangeSubscriptions, add=("Lists/b", "Lists/a"))
    await world.order(ChangeSubscriptions, add=("c",), remove=("Lists/b",))
    assert (await world.ports.store.load("bob")).subscribed_names == ("Lists/a", "c")
    too_many = tuple(f"n{number}" for number in range(1000))
    assert (await world.order(ChangeSubscriptions, add=too_many)).outcome == "refused"


async def test_types_tell_when_they_changed_last(world: MailboxWorld) -> None:
    await world.deliver("m1")
    await world.order(ChangeMessages, "m1", add_keywords=("$seen",))
    await world.folder("f1", "Work")
    seqs = (await world.ports.store.load("bob")).type_seqs
    assert seqs == TypeSeqs(messages=2, folders=3, threads=1, deliveries=1)
