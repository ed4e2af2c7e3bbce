"""POST /v1/messages: what is submitted, repeats, drafts, limits."""

import asyncio
from typing import Any

import aiohttp
import pytest

from mail.ids import message_id
from mail.sending.sending_limits import SendingLimit, SendingLimits
from schemas.content import Inline
from tests.api.rest.test_settings import UNKNOWN, Answer, ask
from tests.support.edge_world import World

TO_BOB = {"to": ["Bob <bob@postriver.test>"], "subject": "Tea", "text": "At four?"}


async def send(client: aiohttp.ClientSession, key: str = "", **fields: Any) -> Answer:
    headers = {"Idempotency-Key": key} if key else {}
    return await ask(client, "POST", "/v1/messages", TO_BOB | fields, **headers)


async def test_a_mail_is_held_for_the_undo_time_then_it_is_queued(world: World) -> None:
    alice = await world.signed()
    status, answer = await send(alice)
    assert (status, answer["held_until"] is not None) == (202, True)
    row = await world.submissions.get(answer["submission_id"])
    assert (row.status, row.fire_at_ms - row.created_at_ms) == ("held", 10_000)
    assert answer["id"] == row.message_id == message_id(row.mail.mail_id, "alice", kind="sent")
    assert [each.address for each in row.recipients] == ["bob@postriver.test"]
    status, answer = await send(alice, undo_s=0)
    assert (status, answer["held_until"]) == (202, None)
    (mail,) = world.mailboxes.submitted
    assert mail.envelope.reverse_path == "alice@postriver.test"
    assert b"Subject: Tea" in await world.contents.get(mail.content.ref)


async def test_bcc_is_in_the_copy_of_the_sender_alone(world: World) -> None:
    alice = await world.signed()
    await send(alice, bcc=["eve@postriver.test"], undo_s=0, text="x" * 40_000)
    (mail,) = world.mailboxes.submitted
    assert {each.address for each in mail.outgoing.recipients} == {
        "bob@postriver.test", "eve@postriver.test",
    }  # fmt: skip
    assert b"eve@" not in await world.contents.get(mail.content.ref)
    assert b"Bcc: eve@" in await world.contents.get(mail.outgoing.sent_copy.ref)


async def test_a_repeat_with_its_key_is_one_mail(world: World) -> None:
    alice = await world.signed()
    answers = await asyncio.gather(*(send(alice, "k1", undo_s=0) for _ in range(5)))
    answers += [await send(alice, '"k1"', undo_s=0)]
    assert {status for status, _ in answers} == {202}
    assert len({answer["submission_id"] for _, answer in answers}) == 1
    assert len(world.mailboxes.submitted) == 1
    status, problem = await send(alice, "k1", undo_s=0, subject="Other")
    assert (status, problem["code"]) == (422, "idempotency_key_reused")
    bob = await world.signed("bob")
    assert (await send(bob, "k1", undo_s=0))[0] == 202, "keys are of one user"
    assert len(world.mailboxes.submitted) == 2


async def test_a_draft_is_sent_once_and_the_repeat_finds_it_gone(world: World) -> None:
    alice = await world.signed()
    _, draft = await ask(alice, "POST", "/v1/drafts", TO_BOB)
    for _ in range(2):
        status, answer = await send(alice, "k", draft_id=draft["id"])
        assert status == 202, answer
    assert (await ask(alice, "GET", f"/v1/drafts/{draft['id']}"))[0] == 404
    row = await world.submissions.get(answer["submission_id"])
    assert (row.mail.draft_id, row.mail.draft_message_id) == (draft["id"], draft["message_id"])
    status, problem = await send(alice, "other key", draft_id=draft["id"])
    assert (status, problem["code"]) == (400, "bad_idempotency_key")
    status, problem = await send(alice, "other-key", draft_id=draft["id"])
    assert (status, problem["place"]) == (422, "draft_id")


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"from": "eve@postriver.test"}, "from"),
        ({"to": []}, "to"),
        ({"to": ["no address"]}, "to[0]"),
        ({"subject": "a\r\nBcc: x@y.test"}, "subject"),
        ({"headers": {"Bcc": "x@y.test"}}, "headers.Bcc"),
        ({"send_at": "2001-01-01T00:00:00Z"}, "send_at"),
        (
            {"attachments": [{"upload_id": UNKNOWN}]},
            "attachments[0]",
        ),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_sent(
    world: World, fields: dict[str, Any], place: str
) -> None:
    alice = await world.signed()
    status, problem = await send(alice, undo_s=0, **fields)
    assert (status, problem["place"].startswith(place)) == (422, True), problem
    assert world.mailboxes.submitted == []
    assert world.submissions.rows == {}


async def test_limits_hold_for_what_was_sent_and_not_for_what_was_refused(make_world) -> None:
    limit = SendingLimit(name="minute", period_ms=60_000, mails=2, recipients=0)
    unlimited = SendingLimit(name="hour", period_ms=3_600_000, mails=0, recipients=0)
    limits = SendingLimits(minute=limit, hour=unlimited, day=unlimited)
    world = await make_world(sending_limits=limits)
    alice = await world.signed()
    for _ in range(4):
        assert (await send(alice, to=["no address"]))[0] == 422
    assert [(await send(alice))[0] for _ in range(3)] == [202, 202, 429]
    async with alice.post("/v1/messages", json=TO_BOB) as response:
        assert 0 < int(response.headers["Retry-After"]) <= 60


async def test_a_mail_that_may_be_in_the_log_is_answered_503(make_world) -> None:
    world = await make_world(answer_timeout_s=0.2)
    alice = await world.signed()
    world.mailboxes.deaf = True
    assert (await send(alice, "k", undo_s=0))[0] == 503
    world.mailboxes.deaf = False
    assert (await send(alice, "k", undo_s=0))[0] == 202
    assert len(world.submissions.rows) == 1
    (row,) = world.submissions.rows.values()
    assert isinstance(row.mail.content, Inline) is False
