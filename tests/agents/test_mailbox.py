"""mailbox: single commands; random histories are in test_mailbox_history.py."""

import msgspec
import pytest

from agents.mailbox import mailbox
from agents.ports import MailboxPorts
from mail.errors import Poison, StoreUnavailable
from mail.ids import message_id
from mail.mailbox.keywords import KEYWORDS_MAX, normal_keywords
from schemas.events.mailbox_commands import EmptyFolder, MarkAllRead, TrashMessages
from schemas.events.mailbox_events import CommandAnswered, Position
from schemas.events.unions import Event
from schemas.mail import HeaderSummary
from tests.support.agent_builders import OneTry, change, deliver, mailbox_ports, order

FORBIDDEN = '(){]%*"\\ \x7fé'


@pytest.fixture
def ports() -> MailboxPorts:
    return mailbox_ports()


async def handle(command, ports: MailboxPorts, *, offset: int = 0, epoch: str = "e1"):
    work = OneTry(offset=offset, epoch=epoch)
    (output,) = await mailbox(command, work, ports)
    work.published()
    return output


async def test_a_message_is_created_with_all_that_a_rebuild_needs(ports: MailboxPorts) -> None:
    entry = await handle(deliver(), ports)
    (created,) = entry.changes
    assert (entry.seq, created.change, created.places) == (1, "created", {"inbox": 1})
    assert (created.delivered.mail_id, created.delivered.received_at_ms) == ("m1", 1)
    assert [(one.id, one.total, one.unread) for one in entry.folders] == [("inbox", 1, 1)]
    row = await ports.store.message("bob", created.message_id)
    assert row.head.subject == "Tea"


async def test_seen_moves_the_unread_count_and_flagged_does_not(ports: MailboxPorts) -> None:
    await handle(deliver(), ports)
    seen = await handle(change("c1", add=["$Seen"]), ports, offset=1)
    flagged = await handle(change("c2", add=["$flagged"]), ports, offset=2)
    assert (seen.changes[0].keywords, seen.folders[0].unread) == (("$seen",), 0)
    assert flagged.changes[0].keywords == ("$flagged", "$seen")
    assert flagged.folders[0].unread == 0
    unseen = await handle(change("c3", remove=["$seen"]), ports, offset=3)
    assert unseen.folders[0].unread == 1


@pytest.mark.parametrize(
    ("command", "outcome"),
    [
        (change("c1", add=()), "unchanged"),
        (change("c1", remove=["$seen"]), "unchanged"),
        (change("c1", "other", add=["$seen"]), "not_found"),
        (change("c1", add=["two words"]), "refused"),
        (change("c1", add=[""]), "refused"),
        (change("c1", add=[f"k{number}" for number in range(KEYWORDS_MAX + 1)]), "refused"),
    ],
)
async def test_a_command_without_changes_is_answered(ports: MailboxPorts, command, outcome) -> None:
    await handle(deliver(), ports)
    answer = await handle(command, ports, offset=1)
    assert isinstance(answer, CommandAnswered)
    assert (answer.answers, answer.outcome) == ("c1", outcome)
    assert bool(answer.detail) == (outcome == "refused")
    assert (await ports.store.load("bob")).seq == 1


async def test_another_users_message_is_not_found(ports: MailboxPorts) -> None:
    await handle(deliver(user_id="ann"), ports)
    theirs = message_id("m1", "ann")
    command = msgspec.structs.replace(change("c1", add=["$seen"]), message_ids=(theirs,))
    assert (await handle(command, ports, offset=1)).outcome == "not_found"


async def test_in_a_recreated_topic_repeats_are_found_by_id_not_by_position(
    ports: MailboxPorts,
) -> None:
    first = await handle(deliver(), ports, offset=5)
    seen = await handle(change("c1", add=["$seen"]), ports, offset=6)
    assert await handle(deliver(), ports, offset=0, epoch="e2") == first
    assert await handle(change("c1", add=["$seen"]), ports, offset=1, epoch="e2") == seen
    assert (await handle(deliver("m2"), ports, offset=2, epoch="e2")).seq == 3


async def test_a_restored_command_keeps_its_place_in_the_order(ports: MailboxPorts) -> None:
    """A command that changed nothing is not applied after the commands that followed it."""
    empty = order(EmptyFolder, "c1", folder_id="trash", bound_uid=9)
    trash, new = order(TrashMessages, "c2", "m1"), order(MarkAllRead, "c3", folder_id="trash")
    await handle(deliver(), ports)
    assert (await handle(empty, ports, offset=1)).outcome == "unchanged"
    told = await handle(trash, ports, offset=2)  # the backup is taken here, nothing is committed
    log = [deliver(), empty, trash, new]

    async def put_back(first: int) -> list[Event]:
        told = []
        for at, command in enumerate(log):
            work = OneTry(epoch="e2", offset=first + at, origins=(Position("e1", 0, at),))
            told += await mailbox(command, work, ports)
            work.published()
        return told

    for first in (0, 4):  # the second time after a kill
        _, answer, again, step = await put_back(first)
        assert (answer.outcome, again, step.seq) == ("unchanged", told, 3)
    last = await handle(order(EmptyFolder, "c4", folder_id="trash", bound_uid=2), ports, epoch="e2")
    assert last.changes[0].change == "destroyed"
    assert (await ports.store.load("bob")).epoch == "e2"


async def test_the_table_is_proven_only_after_the_output_is_published(ports: MailboxPorts) -> None:
    work = OneTry()
    await mailbox(deliver(), work, ports)
    assert ports.states.get("bob") is None
    work.published()
    assert ports.states.get("bob") == await ports.store.load("bob")
    again = OneTry(offset=1)
    await mailbox(change("c1", add=["$seen"]), again, ports)
    assert ports.states.get("bob") is None


async def test_a_proven_copy_spares_the_store(ports: MailboxPorts) -> None:
    await handle(deliver(), ports)
    steps: list[str] = []
    ports.store.fault = steps.append
    await handle(deliver("m2", head=HeaderSummary(message_id="x@y")), ports, offset=1)
    assert steps == ["read", "journal", "row", "state"]  # row and conversation, then the commit


async def test_a_message_for_a_missing_folder_goes_to_the_inbox(ports: MailboxPorts) -> None:
    entry = await handle(deliver(folder_id="attic"), ports)
    assert entry.changes[0].places == {"inbox": 1}


async def test_an_invalid_keyword_is_parked_before_the_journal(ports: MailboxPorts) -> None:
    with pytest.raises(Poison):
        await handle(msgspec.structs.replace(deliver(), keywords=("two words",)), ports)
    assert await ports.store.journal("bob", since_seq=0, limit=9) == []


async def test_an_unreachable_store_holds(ports: MailboxPorts) -> None:
    def away(_step: str) -> None:
        raise StoreUnavailable("sqlite")

    ports.store.fault = away
    with pytest.raises(StoreUnavailable):
        await handle(deliver(), ports)


def test_keywords_are_those_of_rfc_8621() -> None:
    assert normal_keywords(["$Seen", "NotJunk", "a.b-c_d"]) == {"$seen", "notjunk", "a.b-c_d"}
    assert all(normal_keywords([f"a{character}"]) is None for character in FORBIDDEN)
    assert normal_keywords(["x" * 256]) is None


async def test_a_position_never_suppresses_a_mail(ports: MailboxPorts) -> None:
    """The log came back shorter than the store: a new mail has an offset that was used before."""
    await handle(deliver("m1"), ports, offset=500)
    entry = await handle(deliver("m2"), ports, offset=400)
    assert (entry.changes[0].change, entry.seq) == ("created", 2)
    assert await ports.store.message("bob", entry.changes[0].message_id) is not None
