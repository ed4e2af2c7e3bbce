"""mailbox, rebuild: views rewritten by the single writer; the state table is right afterwards."""

import hashlib

import msgspec
import pytest

from agents.mailbox import mailbox
from agents.mailbox_rebuild import repair
from agents.ports import MailboxPorts
from schemas.consistency import COUNTS, LISTS
from schemas.content import Stored
from schemas.events.mailbox_commands import RebuildViews
from schemas.events.mailbox_events import REBUILT, REFUSED, UNCHANGED
from schemas.mailbox import FolderCounts
from tests.support.agent_builders import PLAIN, OneTry, change, deliver, mailbox_ports, order


@pytest.fixture
async def ports() -> MailboxPorts:
    made = mailbox_ports()
    await made.contents.put("m1", PLAIN)
    stored = Stored("m1", len(PLAIN), hashlib.sha256(PLAIN).hexdigest())
    await do(msgspec.structs.replace(deliver(), content=stored), made, 0)
    await do(deliver("m2"), made, 1)
    return made


async def do(command, ports: MailboxPorts, offset: int):
    work = OneTry(offset=offset)
    (output,) = await mailbox(command, work, ports)
    work.published()
    return output


def rebuild(*parts: str, id_: str = "r1"):
    return order(RebuildViews, id_, parts=parts)


async def test_wrong_counts_leave_the_store_and_the_live_copy(ports: MailboxPorts) -> None:
    right = await ports.store.load("bob")
    wrong = msgspec.structs.replace(right, folders={"inbox": FolderCounts("inbox", 9, 9, 9)})
    ports.store._mailboxes["bob"].state = wrong
    ports.states.set("bob", wrong)
    answer = await do(rebuild(COUNTS), ports, 2)
    assert (answer.outcome, answer.detail) == (REBUILT, "1 differences repaired")
    assert ports.states.get("bob") is None, "the next command reads the store"
    assert await ports.store.load("bob") == right
    assert (await do(rebuild(COUNTS, id_="r2"), ports, 3)).outcome == UNCHANGED
    event = await do(change("c1", add=["$seen"]), ports, 4)
    (inbox,) = event.folders
    assert (inbox.total, inbox.unread, inbox.next_uid, inbox.modseq) == (2, 1, 3, 3)


async def test_a_lost_row_is_read_from_its_content(ports: MailboxPorts) -> None:
    before = dict(ports.store._mailboxes["bob"].messages)
    ports.store._mailboxes["bob"].messages.clear()
    step = await do(rebuild(LISTS), ports, 2)
    assert (step.origin_id, step.step) == ("r1", 1)
    assert await do(rebuild(LISTS), ports, 2) == step, "a repeat publishes the next step again"
    answer = await do(step, ports, 3)
    assert (answer.outcome, answer.answers) == (REBUILT, "r1")
    assert await do(step, ports, 3) == answer
    rows = await ports.store.rows("bob", list(before))
    first, second = (rows[id_] for id_ in before)
    assert (first.head.subject, first.head.sender.address) == ("Tea", "kim@example.kr")
    assert second.head.parse_failed  # its content is gone too
    assert [row.places for row in rows.values()] == [row.places for row in before.values()]


async def test_a_mailbox_is_mended_within_the_turn_of_another_command(ports: MailboxPorts) -> None:
    for mended in (3, 2):  # two rows, and once the sender that the content names
        ports.store._mailboxes["bob"].messages.clear()
        assert await repair(rebuild(LISTS, COUNTS), ports) == mended
        assert (await ports.store.check("bob")).differences == ()
    assert await repair(rebuild(LISTS, COUNTS), ports) == 0


async def test_a_damaged_journal_is_refused(ports: MailboxPorts) -> None:
    del ports.store._mailboxes["bob"].journal[1]
    answer = await do(rebuild(LISTS, COUNTS), ports, 2)
    assert (answer.outcome, answer.detail[:11]) == (REFUSED, "after seq 0")
