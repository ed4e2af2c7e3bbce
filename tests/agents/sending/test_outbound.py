"""Mail for other domains up to the relay queue, and the notices that its results bring."""

import random

import dkim
import pytest

from agents.relaying.outbound import Outbound
from mail.ids import new_id
from mail.mime.message_parser import read_head
from mail.sending.dkim.keyring import IN_USE, DkimKeyrings
from mail.sending.reverse_path import ReversePaths
from mail.sending.service_key import ServiceKey
from schemas.content import Stored
from schemas.events.mailbox_commands import Deliver
from schemas.events.sending import ReportOutcomes
from schemas.holders import relay_holder
from schemas.submissions import RecipientResult, RequestedRecipient
from tests.agents.sending.world import AT_MS, MAIL, SendingWorld, submit

BOB, ZOE, YAN = "bob@postriver.test", "zoe@example.net", "yan@Example.ORG"


@pytest.fixture(params=[None, *range(6)])
async def world(request) -> SendingWorld:
    dice = None if request.param is None else random.Random(request.param)
    return await SendingWorld(dice, relay=True).prepare()


def report(name: str, *results: RecipientResult, command_id: str = "r1") -> ReportOutcomes:
    return ReportOutcomes(
        command_id=command_id, user_id="ann", domain_id="d1", submission_id=name,
        outcomes=results, at_ms=AT_MS + 50,
    )  # fmt: skip


def result(address: str, status: str, attempts: int = 1, **fields) -> RecipientResult:
    plain = {"code": "5.1.1", "detail": "no such user", "reply": 550, "at_ms": AT_MS + 50}
    return RecipientResult(address=address, status=status, attempts=attempts, **(plain | fields))


async def notices(world: SendingWorld) -> list[bytes]:
    """The notices in ann's inbox."""
    found = [
        each
        for each in world.commands.values()
        if isinstance(each, Deliver) and (each.user_id, each.folder_id) == ("ann", "inbox")
    ]
    return [await world.contents.get(each.content.ref) for each in found]


async def test_a_mail_enters_the_queue_once_for_each_domain(world: SendingWorld) -> None:
    name = new_id()
    world.publish(submit(name, BOB, ZOE, YAN, "zed@example.net"))
    await world.settle()
    assert {key: set(rows) for key, rows in world.queue.rows.items()} == {
        (name, "example.net"): {ZOE, "zed@example.net"},
        (name, "example.org"): {YAN},
    }
    mail = world.queue.mails[name, "example.net"]
    assert (mail.reverse_path, mail.content) == (
        "ann@postriver.test",
        Stored(name, len(MAIL), mail.content.sha256),
    )
    held = {holder.holder for holder in await world.holders.list(name)}
    assert {relay_holder("example.net"), relay_holder("example.org")} <= held
    assert await world.statuses(name) == {
        BOB: "delivered", ZOE: "pending", YAN: "pending", "zed@example.net": "pending",
    }  # fmt: skip
    assert await notices(world) == []


async def test_a_failure_is_told_once_in_one_mail(world: SendingWorld) -> None:
    world.publish(submit("m1", ZOE, "zed@example.net", BOB))
    await world.settle()
    failed = report("m1", result(ZOE, "failed"), result("zed@example.net", "failed"))
    world.publish(failed)
    await world.settle()
    world.publish(failed)
    await world.settle()
    (notice,) = await notices(world)
    for text in (b"Return-Path: <>", b"Action: failed", b"Status: 5.1.1", ZOE.encode(), b"550"):
        assert text in notice
    assert notice.count(b"Final-Recipient:") == 2
    assert b"Subject: Tea" in notice
    assert b"At four?" not in notice
    assert read_head(notice).subject == "Your mail could not be delivered"
    assert (await world.row("m1")).status == "partial"


async def test_a_delay_is_told_and_a_success_only_if_requested(world: SendingWorld) -> None:
    world.publish(submit("m1", ZOE))
    await world.settle()
    late = result(ZOE, "deferred", code="4.3.0", is_delay=True, next_attempt_at_ms=AT_MS + 99)
    world.publish(report("m1", late))
    await world.settle()
    world.publish(report("m1", result(ZOE, "relayed", 2, code="2.0.0"), command_id="r2"))
    await world.settle()
    (notice,) = await notices(world)
    assert b"Action: delayed" in notice
    assert b"Will-Retry-Until:" in notice
    assert (await world.row("m1")).status == "sent"


@pytest.mark.parametrize(
    ("notify", "status", "told"),
    [
        (("never",), "failed", b""),
        (("delay",), "failed", b""),
        (("success",), "failed", b""),
        (("success", "failure"), "failed", b"Action: failed"),
        (("success",), "relayed", b"Action: relayed"),
        (("failure",), "relayed", b""),
    ],
)
async def test_notify_decides(world: SendingWorld, notify, status, told) -> None:
    recipient = RequestedRecipient(address=ZOE, notify=notify)
    world.publish(submit("m1", recipients=(recipient,)))
    await world.settle()
    world.publish(report("m1", result(ZOE, status)))
    await world.settle()
    found = await notices(world)
    assert len(found) == bool(told)
    assert all(told in notice for notice in found)


async def test_a_null_reverse_path_gets_no_notice(world: SendingWorld) -> None:
    world.publish(submit("m1", ZOE, reverse_path=""))
    await world.settle()
    world.publish(report("m1", result(ZOE, "failed")))
    await world.settle()
    assert await notices(world) == []


async def test_the_mail_of_a_domain_with_keys_is_signed_the_same_each_time() -> None:
    key = ServiceKey(b"k" * 32)
    world = await SendingWorld(random.Random(3), relay=True).prepare()
    domain = await world.directory.domain("postriver.test")
    rings = DkimKeyrings(world.directory, key)
    await rings.add(domain, at_ms=AT_MS, state=IN_USE)
    paths = ReversePaths((key.derived("reverse-paths"),))
    world.outbound = Outbound(contents=world.contents, reverse_paths=paths, signers=rings)
    name = new_id()
    world.publish(submit(name, ZOE, content=MAIL + "Grüße\r\n".encode()))
    await world.settle()
    (mail,) = world.queue.mails.values()
    assert mail.prefix.count(b"DKIM-Signature:") == 2
    assert mail.eight_bit
    assert paths.mail_of(mail.reverse_path, now_ms=mail.queued_at_ms) == name
    keys = {each.record_name: each.record_text.encode() for each in await rings.keys(domain)}
    signed = mail.prefix + await world.contents.get(name)

    def record(asked: bytes, **_: object) -> bytes:
        return keys[asked.decode().rstrip(".")]

    for number in (0, 1):
        assert dkim.DKIM(signed).verify(idx=number, dnsfunc=record)
