"""What becomes of a mail that a user sends; each stage may handle each event several times."""

import random

import pytest

from agents.submission import KEY_REUSED, TOO_LATE
from mail.ids import message_id
from mail.ports import SpamReport
from operations.quarantine import _released_event
from scanners.memory import EICAR
from schemas.content import Inline
from schemas.events.mailbox_commands import ChangeMessages, ExpungeMessages
from schemas.events.sending import FireSubmission
from tests.agents.sending.world import AT_MS, MAIL, SendingWorld, cancel, fire, submit

BOB, EVE, FAR = "bob@postriver.test", "eve+list@postriver.test", "zoe@example.net"
NOTICE = ("ann", "inbox")  # of a failure
HELD = {"fire_at_ms": AT_MS + 10_000}


@pytest.fixture(params=[None, *range(12)])
async def world(request) -> SendingWorld:
    dice = None if request.param is None else random.Random(request.param)
    return await SendingWorld(dice).prepare()


async def test_a_mail_reaches_local_mailboxes_and_the_folder_sent(world: SendingWorld) -> None:
    command = submit("m1", BOB, EVE, answers="q1")
    world.publish(command)
    await world.settle()
    assert world.delivered() == {("ann", "sent"), ("bob", "inbox"), ("eve", "inbox")}
    assert await world.statuses("m1") == {BOB: "delivered", EVE: "delivered"}
    assert (await world.row("m1")).status == "sent"
    assert world.note(command).note.message_id == message_id("m1", "ann", kind="sent")
    marks = [each for each in world.commands.values() if isinstance(each, ChangeMessages)]
    assert [(each.message_ids, each.add_keywords) for each in marks] == [(("q1",), ("$answered",))]


async def test_each_recipient_fails_alone(world: SendingWorld) -> None:
    world.room.full.add("eve")
    world.publish(submit("m1", BOB, "nobody@postriver.test", FAR, EVE))
    await world.settle()
    assert await world.statuses("m1") == {
        BOB: "delivered", "nobody@postriver.test": "failed", FAR: "failed", EVE: "failed",
    }  # fmt: skip
    row = await world.row("m1")
    assert row.status == "partial"
    assert [each.code for each in row.recipients] == ["", "5.1.1", "5.7.1", "5.2.2"]
    assert "POSTRIVER_RELAY" in row.recipients[2].detail
    assert world.delivered() == {("ann", "sent"), ("bob", "inbox"), NOTICE}


@pytest.mark.parametrize(
    ("content", "fields", "to"),
    [
        (MAIL, {}, "nobody@postriver.test"),
        (MAIL.replace(b"ann@", b"bob@"), {}, BOB),
        (MAIL, {"reverse_path": "ceo@example.net"}, BOB),
    ],
)
async def test_a_rejected_mail_returns_to_drafts(
    world: SendingWorld, content: bytes, fields: dict, to: str
) -> None:
    world.publish(submit("m1", to, content=content, **fields))
    await world.settle()
    assert world.delivered() == {("ann", "drafts"), NOTICE}
    assert (await world.row("m1")).status == "failed"


async def test_what_the_scanners_refuse_is_not_sent(world: SendingWorld) -> None:
    world.publish(submit("m1", BOB, content=MAIL + EICAR))
    await world.settle()
    assert world.delivered() == {NOTICE}
    assert await world.statuses("m1") == {BOB: "failed"}
    assert "Eicar" in (await world.row("m1")).recipients[0].detail
    row = await world.quarantine.get("m1")
    assert (row.reason, row.outgoing.user_id) == ("infected", "ann")
    await world.quarantine.release("m1", by="olga", at_ms=AT_MS + 9)
    world.publish(_released_event(row, by="olga", at_ms=AT_MS + 9, worker="w"))
    await world.settle()
    assert world.delivered() == {("ann", "sent"), ("bob", "inbox"), NOTICE}
    assert await world.statuses("m1") == {BOB: "delivered"}


async def test_spam_of_a_user_is_quarantined_from_the_outgoing_score_on(
    world: SendingWorld,
) -> None:
    for name, score in (("m1", 7.9), ("m2", 8.0)):
        report = SpamReport(score=score, tests=(), rules="r", scanned_bytes=1)
        world.spam.script.clear()
        world.spam.script.extend([report] * 99)
        world.publish(submit(name, BOB))
        await world.settle()
    assert world.delivered() - {("ann", "junk")} == {("ann", "sent"), ("bob", "inbox")}
    assert await world.statuses("m2") == {BOB: "failed"}


async def test_a_repeated_key_is_answered_with_the_first_submission(world: SendingWorld) -> None:
    same = {"idempotency_key": "k", "body_hash": "h"}
    first, second = submit("m1", BOB, **same), submit("m2", BOB, **same)
    other = submit("m3", BOB, idempotency_key="k", body_hash="other")
    world.publish(first, second, other)
    await world.settle()
    assert world.delivered() == {("ann", "sent"), ("bob", "inbox")}
    assert world.note(second).note.submission_id == "m1"
    answer = world.note(other)
    assert (answer.note, answer.outcome, answer.detail) == (None, "refused", KEY_REUSED)
    assert await world.submissions.get("m2") is None


@pytest.mark.parametrize("canceled_first", [True, False])
async def test_of_cancel_and_fire_the_first_one_wins(
    world: SendingWorld, *, canceled_first: bool
) -> None:
    world.publish(submit("m1", BOB, **HELD))
    await world.settle()
    assert world.delivered() == set()
    assert (await world.row("m1")).status == "held"
    stop = cancel("m1")
    world.publish(*((stop, fire("m1")) if canceled_first else (fire("m1"), stop)))
    await world.settle()
    if canceled_first:
        assert world.delivered() == {("ann", "drafts")}
        assert await world.statuses("m1") == {BOB: "canceled"}
    else:
        assert world.delivered() == {("ann", "sent"), ("bob", "inbox")}
        assert (world.note(stop).outcome, world.note(stop).detail) == ("conflict", TOO_LATE)


async def test_an_accepted_draft_is_removed(world: SendingWorld) -> None:
    world.publish(submit("m1", BOB, draft_id="d", draft_message_id="draft 1", **HELD))
    await world.settle()
    removed = [each for each in world.commands.values() if isinstance(each, ExpungeMessages)]
    assert [(each.message_ids, each.folder_id) for each in removed] == [(("draft 1",), "drafts")]


async def test_the_copy_in_sent_may_have_more_header_fields(world: SendingWorld) -> None:
    copy = b"Bcc: eve@postriver.test\r\n" + MAIL
    world.publish(submit("m1", BOB, EVE, sent_copy=Inline(copy), sent_mail_id="m1s"))
    await world.settle()
    by_user = {each.user_id: each for each in world.commands.values() if hasattr(each, "folder_id")}
    for name in ("bob", "eve"):
        assert await world.contents.get(by_user[name].content.ref) == MAIL
    assert await world.contents.get(by_user["ann"].content.ref) == copy
    assert {"m1", "m1s"} == await world.holders.any_held(["m1", "m1s"])


async def test_nobody_cancels_the_submission_of_another_user(world: SendingWorld) -> None:
    world.publish(submit("m1", BOB, **HELD))
    await world.settle()
    forged = FireSubmission(
        command_id="f", user_id="eve", domain_id="d1", submission_id="m1", at_ms=AT_MS
    )
    world.publish(forged)
    await world.settle()
    assert world.note(forged).outcome == "not_found"
    assert (await world.row("m1")).status == "held"


async def test_a_disabled_user_does_not_send_what_was_held(world: SendingWorld) -> None:
    world.publish(submit("m1", BOB, **HELD))
    await world.settle()
    await world.directory.set_disabled("ann", disabled=True)
    world.publish(fire("m1"))
    await world.settle()
    assert ("bob", "inbox") not in world.delivered()
    assert await world.statuses("m1") == {BOB: "failed"}
