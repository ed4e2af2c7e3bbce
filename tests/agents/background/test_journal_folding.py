"""Journal folding: done by the single writer, and never for events that may be unpublished."""

import dataclasses

import msgspec
import pytest

from agents.background.journal_folding import FOLD_EVERY, KEPT, fold_after
from agents.mailbox import mailbox
from agents.ports import IntakePorts, MailboxPorts
from agents.route import route
from mail.clock import DAY_MS
from mail.clock_guard import ClockGuard
from mail.errors import JournalTruncated
from schemas.events.mailbox_commands import (
    BulkFolderCommand,
    CreateFolder,
    DeleteFolder,
    FoldJournal,
)
from schemas.events.mailbox_events import MailboxChanged
from stores.memory import MemoryOutlineStore, MemoryQuarantine
from tests.support.agent_builders import OneTry, change, deliver, mailbox_ports, order, scanned

NOW_MS = 1_900_000_000_000
DUE = 7  # entries that a fold may take


class Clocks:
    def __init__(self) -> None:
        self.wall, self.boot = NOW_MS, 0

    def guard(self) -> ClockGuard:
        return ClockGuard(lambda: self.wall, lambda: self.boot)


async def do(ports: MailboxPorts, command, offset: int, *, epoch: str = "e1"):
    work = OneTry(offset=offset, epoch=epoch)
    outputs = await mailbox(command, work, ports)
    work.published()
    return outputs


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
async def ports(clocks: Clocks) -> MailboxPorts:
    """Bob's mailbox has old changes, of which DUE are beyond those that always stay."""
    made = mailbox_ports(clock=clocks.guard(), feed_ms=DAY_MS)
    await do(made, deliver(), 0)
    for number in range(1, KEPT + DUE):
        words = {"add" if number % 2 else "remove": ["$seen"]}
        await do(made, change(f"c{number}", **words), number)
    return made


def folding(at_ms: int = NOW_MS) -> FoldJournal:
    return FoldJournal(command_id="f", user_id="bob", domain_id="d1", at_ms=at_ms)


async def first_seq(ports: MailboxPorts) -> int:
    """Of the feed."""
    return (await ports.store.snapshot("bob")).seq + 1


async def test_a_step_publishes_the_next_one_until_nothing_is_due(ports: MailboxPorts) -> None:
    step, steps = folding(), 0
    while outputs := await do(ports, step, KEPT + DUE + steps):
        (step,) = outputs
        steps += 1
    assert steps
    assert await first_seq(ports) == DUE + 1
    assert (await ports.store.check("bob")).differences == ()


async def test_every_64th_change_is_followed_by_a_step(ports: MailboxPorts) -> None:
    journal = await ports.store.journal("bob", since_seq=0, limit=1000)
    assert not any(map(fold_after, journal[:KEPT]))
    due = msgspec.structs.replace(journal[-1], seq=FOLD_EVERY * 2)
    (command,) = fold_after(due)
    assert fold_after(due) == (command,)
    assert (command.user_id, command.at_ms) == ("bob", due.at_ms)
    for number in range(KEPT + DUE, FOLD_EVERY * 2):
        outputs = await do(ports, change(f"c{number}", add=[f"w{number}"]), number)
    assert [type(one) for one in outputs] == [MailboxChanged, FoldJournal]
    again = await do(ports, change(f"c{number}", add=[f"w{number}"]), number)
    assert again == outputs


@pytest.mark.parametrize(("offset", "epoch"), [(KEPT + DUE - 1, "e1"), (5, "e1"), (999, "e2")])
async def test_what_may_not_be_published_yet_is_not_folded(
    ports: MailboxPorts, offset: int, epoch: str
) -> None:
    """The last change has this position, a later position, or is in another log."""
    assert await do(ports, folding(), offset, epoch=epoch) == ()
    assert await first_seq(ports) == 1


async def test_a_clock_that_was_set_folds_nothing(ports: MailboxPorts, clocks: Clocks) -> None:
    clocks.wall += 40 * DAY_MS
    assert await do(ports, folding(clocks.wall), 999) == ()
    assert await first_seq(ports) == 1


async def test_young_changes_stay_whatever_a_command_says(
    ports: MailboxPorts, clocks: Clocks
) -> None:
    """A command's time is another host's clock: this one's counts if it is behind."""
    clocks.wall = clocks.boot = DAY_MS  # every change is younger than a day
    young = dataclasses.replace(ports, clock=clocks.guard())
    assert await do(young, folding(NOW_MS), 999) == ()
    assert await first_seq(ports) == 1


async def test_a_damaged_journal_is_left_to_verify(ports: MailboxPorts) -> None:
    del ports.store._mailboxes["bob"].journal[1]
    assert await do(ports, folding(), 999) == ()
    entry = ports.store._mailboxes["bob"].journal[3]
    broken = msgspec.structs.replace(entry, seq=9)
    ports.store._mailboxes["bob"].journal[1] = broken
    assert await do(ports, folding(), 999) == ()
    (found,) = (await ports.store.check("bob")).differences
    assert found.part == "journal"


async def test_mail_that_waited_for_a_month_is_journalled_as_of_its_scan() -> None:
    ports = mailbox_ports()
    intake = IntakePorts(
        contents=ports.contents,
        outlines=MemoryOutlineStore(),
        holders=ports.holders,
        quarantine=MemoryQuarantine(),
    )
    mail = scanned()
    for at_ms, wanted in ((0, mail.received_at_ms), (NOW_MS, NOW_MS)):
        late = msgspec.structs.replace(mail, scanned_at_ms=at_ms)
        (command,) = await route(late, OneTry(), intake)
        assert (command.at_ms, command.received_at_ms) == (wanted, mail.received_at_ms)


async def test_the_next_chunk_of_a_folded_one_is_published_again() -> None:
    """However the entry came to be folded before its event was out, the order goes on."""
    ports = mailbox_ports(chunk_max=1)
    await do(ports, order(CreateFolder, "mk", folder_id="f1", name="Big"), 0)
    for number in (1, 2):
        await do(ports, deliver(f"m{number}", folder_id="f1"), number)
    deletion = order(DeleteFolder, "df", folder_id="f1")
    event, follow_up = await mailbox(deletion, OneTry(offset=3), ports)
    assert await ports.store.fold("bob", before_ms=2**50, to_seq=event.seq)
    with pytest.raises(JournalTruncated):
        await ports.store.by_command("bob", "df")
    assert await do(ports, deletion, 3) == (follow_up,)
    assert isinstance(follow_up, BulkFolderCommand)
    offset = 4
    while isinstance(follow_up, BulkFolderCommand):
        _, *rest = await do(ports, follow_up, offset)
        follow_up, offset = (rest or [None])[0], offset + 1
    assert "f1" not in (await ports.store.load("bob")).own
