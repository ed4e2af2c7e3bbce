"""A deposit that ends at any step: after custody's looks a content is held by its message alone."""

import pytest

from agents.background.deposit_holders import DepositHolders
from agents.ports import DepositHolderPorts
from edge.deposits.deposit import Replaced
from mail.ids import holder_of
from tests.edge.deposits.test_depositor import DRAFT, Desk
from tests.support.custody_world import Letters, Log


class Killed(BaseException):
    """The process ends here."""


class Countdown:
    """A fault that kills before step `kill_at`; `steps` counts."""

    def __init__(self, kill_at: int) -> None:
        self.kill_at = kill_at
        self.steps = 0

    def __call__(self, _name: str = "") -> None:
        self.steps += 1
        if self.steps > self.kill_at:
            raise Killed


async def attempt(desk: Desk, kill_at: int, *, replaces: Replaced | None) -> bool:
    """Deposit, killed before step `kill_at` of the stores and the log; whether it was answered."""
    fault, publish = Countdown(kill_at), desk.mailboxes.publish
    stores = (desk.contents, desk.outlines, desk.holders)

    async def published(*events) -> None:
        fault()
        await publish(*events)
        fault()

    before = [store.fault for store in stores]
    desk.mailboxes.publish = published
    for store in stores:
        store.fault = fault
    try:
        await desk.deposit(DRAFT, client_id="c1" if replaces is None else "", replaces=replaces)
    except Killed:
        return False
    finally:
        desk.mailboxes.publish = publish
        for store, kept in zip(stores, before, strict=True):
            store.fault = kept
    return True


async def look_twice(desk: Desk) -> None:
    job = DepositHolders(
        DepositHolderPorts(
            store=desk.store, holders=desk.holders, in_flight=Log(), dead_letters=Letters()
        )
    )
    for _ in range(2):
        await job.turn()


async def held_by_messages_alone(desk: Desk) -> None:
    """Every message that is not destroyed holds its content, and nothing else is held."""
    rows = await desk.store.by_id("alice", after_id="", limit=100)
    expected = {(row.mail_id, holder_of(row.mail_id, "alice", row.message_id)) for row in rows}
    held = set()
    for mail_id in desk.contents.contents:
        held |= {(mail_id, each.holder) for each in await desk.holders.list(mail_id)}
    assert held == expected
    assert await desk.contents.missing(row.content.ref for row in rows) == []


@pytest.mark.parametrize("kill_at", range(6))
async def test_a_killed_deposit_leaves_a_message_or_nothing_that_is_held(kill_at: int) -> None:
    desk = Desk()
    answered = await attempt(desk, kill_at, replaces=None)
    assert answered is (kill_at == 5), "the steps are those of this test"
    await desk.deposit(client_id="c1")  # the client repeats
    await look_twice(desk)
    assert len(await desk.listed("drafts")) == 1
    await held_by_messages_alone(desk)


@pytest.mark.parametrize("kill_at", range(6))
async def test_a_killed_save_keeps_the_old_version_or_has_the_new_one(kill_at: int) -> None:
    desk = Desk()
    first = await desk.deposit(draft_id="d1")
    assert first.changed_seq is not None
    saved = Replaced(message_id=first.message_id, unchanged_since_seq=first.changed_seq)
    await attempt(desk, kill_at, replaces=saved)
    await look_twice(desk)
    (present,) = await desk.listed("drafts")
    assert (present == first.message_id) is (kill_at < 4), "until the command is published"
    row = await desk.store.by_draft("alice", "d1")
    assert row is not None
    assert row.message_id == present
