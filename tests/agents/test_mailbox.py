"""mailbox: single commands; its whole life is in test_mailbox_history.py."""

import msgspec
import pytest

from agents.mailbox import mailbox
from agents.ports import MailboxPorts
from mail.errors import Fatal, Poison, StoreUnavailable
from mail.ids import message_id
from mail.keywords import KEYWORDS_MAX, normal_keywords
from schemas.events import CommandAnswered
from stores.memory import MemoryMailStore, MemoryUnread
from tests.agents.made import OneTry, change, deliver

FORBIDDEN = '(){]%*"\\ \x7fé'


@pytest.fixture
def ports() -> MailboxPorts:
    return MailboxPorts(store=MemoryMailStore(), unread=MemoryUnread())


async def handle(command, ports: MailboxPorts, *, offset: int = 0, epoch: str = "e1"):
    work = OneTry(offset=offset, epoch=epoch)
    (output,) = await mailbox(command, work, ports)
    work.published()
    return output


async def test_a_message_is_created_with_all_that_a_rebuild_needs(ports: MailboxPorts) -> None:
    entry = await handle(deliver(), ports)
    assert (entry.seq, entry.change, entry.places) == (1, "created", {"inbox": 1})
    assert (entry.delivered.mail_id, entry.delivered.received_at_ms) == ("m1", 1)
    assert [(one.id, one.total, one.unread) for one in entry.folders] == [("inbox", 1, 1)]
    row = await ports.store.message("bob", entry.message_id)
    assert row.head.subject == "Tea"


async def test_seen_moves_the_unread_count_and_flagged_does_not(ports: MailboxPorts) -> None:
    await handle(deliver(), ports)
    seen = await handle(change("c1", add=["$Seen"]), ports, offset=1)
    flagged = await handle(change("c2", add=["$flagged"]), ports, offset=2)
    assert (seen.keywords, seen.folders[0].unread) == (("$seen",), 0)
    assert (flagged.keywords, flagged.folders[0].unread) == (("$flagged", "$seen"), 0)
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
async def test_what_changes_nothing_is_answered(ports: MailboxPorts, command, outcome) -> None:
    await handle(deliver(), ports)
    answer = await handle(command, ports, offset=1)
    assert answer == CommandAnswered(
        user_id="bob", domain_id="d1", command_id="c1", outcome=outcome
    )
    assert (await ports.store.load("bob")).seq == 1


async def test_another_users_message_is_not_found(ports: MailboxPorts) -> None:
    await handle(deliver(user_id="ann"), ports)
    theirs = message_id("m1", "ann")
    command = msgspec.structs.replace(change("c1", add=["$seen"]), message_id=theirs)
    assert (await handle(command, ports, offset=1)).outcome == "not_found"


async def test_a_topic_made_anew_repeats_by_id_not_by_position(ports: MailboxPorts) -> None:
    first = await handle(deliver(), ports, offset=5)
    seen = await handle(change("c1", add=["$seen"]), ports, offset=6)
    assert await handle(deliver(), ports, offset=0, epoch="e2") == first
    assert await handle(change("c1", add=["$seen"]), ports, offset=1, epoch="e2") == seen
    assert (await handle(deliver("m2"), ports, offset=2, epoch="e2")).seq == 3


async def test_the_table_is_proven_only_when_the_output_is_out(ports: MailboxPorts) -> None:
    work = OneTry()
    await mailbox(deliver(), work, ports)
    assert ports.unread.get("bob") is None
    work.published()
    assert ports.unread.get("bob") == await ports.store.load("bob")
    again = OneTry(offset=1)
    await mailbox(change("c1", add=["$seen"]), again, ports)
    assert ports.unread.get("bob") is None


async def test_a_proven_copy_spares_the_store(ports: MailboxPorts) -> None:
    await handle(deliver(), ports)
    steps: list[str] = []
    ports.store.fault = steps.append
    await handle(deliver("m2"), ports, offset=1)
    assert steps == ["read", "journal", "row", "state"]  # the message's row, then the commit


async def test_an_unknown_folder_is_parked_before_the_journal(ports: MailboxPorts) -> None:
    with pytest.raises(Poison):
        await handle(deliver(folder_id="attic"), ports)
    assert await ports.store.journal("bob", since_seq=0, limit=9) == []


async def test_a_commit_in_doubt_is_never_parked(ports: MailboxPorts) -> None:
    def breaks(step: str) -> None:
        if step == "row":
            raise RuntimeError("nobody foresaw this")

    ports.store.fault = breaks
    with pytest.raises(Fatal):
        await handle(deliver(), ports)


async def test_a_store_that_is_away_holds(ports: MailboxPorts) -> None:
    def away(_step: str) -> None:
        raise StoreUnavailable("sqlite")

    ports.store.fault = away
    with pytest.raises(StoreUnavailable):
        await handle(deliver(), ports)


def test_keywords_are_those_of_rfc_8621() -> None:
    assert normal_keywords(["$Seen", "NotJunk", "a.b-c_d"]) == {"$seen", "notjunk", "a.b-c_d"}
    assert all(normal_keywords([f"a{character}"]) is None for character in FORBIDDEN)
    assert normal_keywords(["x" * 256]) is None


async def test_a_position_never_swallows_a_mail(ports: MailboxPorts) -> None:
    """The log came back shorter than the store: a new mail stands at an offset used before."""
    await handle(deliver("m1"), ports, offset=500)
    entry = await handle(deliver("m2"), ports, offset=400)
    assert (entry.change, entry.seq) == ("created", 2)
    assert await ports.store.message("bob", entry.message_id) is not None
