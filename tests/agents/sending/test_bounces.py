"""Notifications of other servers on a mail that left: what becomes of its recipients."""

import random

import pytest

from agents.relaying.outbound import Outbound
from mail.ids import new_id
from mail.mime.message_parser import read_head
from mail.sending.delivery_status import ReportedRecipient, StatusReport, notification
from mail.sending.reverse_path import ReversePaths
from schemas.content import Inline
from schemas.events.mail import MailValidated
from schemas.events.sending import ReportOutcomes
from schemas.mail import Envelope, Recipient
from schemas.submissions import RecipientResult, RequestedRecipient
from tests.agents.sending.test_outbound import notices
from tests.agents.sending.world import AT_MS, SendingWorld, submit

BOB, ZOE, YAN = "bob@postriver.test", "zoe@example.net", "yan@example.org"
PATHS = ReversePaths((b"k" * 32,))
LATER_MS = AT_MS + 60_000


@pytest.fixture(params=[None, *range(6)])
async def world(request) -> SendingWorld:
    dice = None if request.param is None else random.Random(request.param)
    world = await SendingWorld(dice, relay=True).prepare()
    world.outbound = Outbound(contents=world.contents, reverse_paths=PATHS)
    return world


async def sent(world: SendingWorld, *to: str) -> str:
    """The id of a mail that other servers took, and bob's mailbox."""
    name = new_id()
    recipients = tuple(RequestedRecipient(address=each) for each in (BOB, *to))
    world.publish(submit(name, recipients=recipients))
    await world.settle()
    world.publish(relayed(name, *to))
    await world.settle()
    assert (await world.row(name)).status == "sent"
    return name


def relayed(name: str, *to: str, attempts: int = 1) -> ReportOutcomes:
    results = [
        RecipientResult(address=each, status="relayed", code="2.0.0", attempts=attempts,
                        at_ms=AT_MS + 50)
        for each in to
    ]  # fmt: skip
    return ReportOutcomes(
        command_id=f"relayed {name} {attempts}", user_id="ann", domain_id="d1", submission_id=name,
        outcomes=tuple(results), at_ms=AT_MS + 50,
    )  # fmt: skip


def bounce(
    about: str, address: str, *, original: str = "", action: str = "failed", at_ms: int = LATER_MS,
    reverse_path: str = "", to: str = "", user_id: str = "ann", content: bytes = b"",
) -> MailValidated:  # fmt: skip
    """A notification that came from another server to the reverse-path of the mail `about`."""
    mail_id = new_id()
    reported = ReportedRecipient(
        address=address, orcpt=original and f"rfc822;{original}", text="mailbox full",
        status="5.2.2" if action == "failed" else "4.2.2", code=552,
    )  # fmt: skip
    report = StatusReport(
        report_id=mail_id, mail_id=about, action=action, reverse_path="bounce@postriver.test",
        hostname="mx.example.net", recipients=(reported,), reported_ms=at_ms, arrived_ms=at_ms,
    )  # fmt: skip
    octets = content or notification(report)
    to = to or PATHS.make(about, "postriver.test", now_ms=AT_MS)
    return MailValidated(
        mail_id=mail_id,
        envelope=Envelope(
            reverse_path=reverse_path,
            recipients=(Recipient(address=to, user_id=user_id, domain_id="d1"),),
        ),
        content=Inline(octets), trace_size_bytes=0, received_at_ms=at_ms, head=read_head(octets),
    )  # fmt: skip


async def arrives(world: SendingWorld, *mails: MailValidated) -> None:
    world.publish(*mails)
    await world.settle()


async def test_a_bounce_fails_the_recipient_that_it_names(world: SendingWorld) -> None:
    name = await sent(world, ZOE, YAN)
    first = bounce(name, "ZOE@Example.NET.", to=PATHS.make(name, "postriver.test", now_ms=AT_MS))
    await arrives(world, first)
    row = await world.row(name)
    assert (row.status, [each.status for each in row.recipients]) == (
        "partial", ["delivered", "failed", "relayed"],
    )  # fmt: skip
    zoe = row.recipients[1]
    assert (zoe.code, zoe.detail, zoe.server, zoe.attempts, zoe.changed_at_ms) == (
        "5.2.2", "smtp; 552 mailbox full", "mx.example.net", 1, LATER_MS,
    )  # fmt: skip
    (mail,) = await notices(world)
    assert b"Action: failed" in mail
    note = world.commands[max(world.commands, key=lambda key: _version(world.commands[key]))]
    assert (note.note.status, note.note.version) == ("partial", row.version)
    repeated = bounce(name, ZOE, at_ms=LATER_MS + 9)
    await arrives(world, first, repeated)
    assert await world.row(name) == row
    assert len(await notices(world)) == 2


def _version(command: object) -> int:
    note = getattr(command, "note", None)
    return note.version if note else 0


async def test_the_original_recipient_decides_if_the_mail_was_forwarded(
    world: SendingWorld,
) -> None:
    name = await sent(world, ZOE, YAN)
    await arrives(world, bounce(name, "elsewhere@example.com", original=YAN))
    assert (await world.statuses(name))[YAN] == "failed"
    await arrives(world, bounce(name, "elsewhere@example.com", original="who@example.com"))
    assert (await world.statuses(name))[ZOE] == "relayed"


async def test_a_delay_is_shown_and_a_success_changes_nothing(world: SendingWorld) -> None:
    name = await sent(world, ZOE)
    before = await world.row(name)
    await arrives(world, bounce(name, ZOE, action="delivered"), bounce(name, ZOE, action="relayed"))
    assert await world.row(name) == before
    await arrives(world, bounce(name, ZOE, action="delayed"))
    row = await world.row(name)
    assert (row.status, row.recipients[1].status, row.recipients[1].code) == (
        "sent", "relayed", "4.2.2",
    )  # fmt: skip
    await arrives(world, bounce(name, ZOE))
    await arrives(world, bounce(name, ZOE, action="delayed", at_ms=LATER_MS + 9))
    assert (await world.statuses(name))[ZOE] == "failed"


async def test_a_bounce_may_be_earlier_than_the_report_of_its_attempt(world: SendingWorld) -> None:
    name = new_id()
    world.publish(submit(name, ZOE))
    await world.settle()
    await arrives(world, bounce(name, ZOE, at_ms=AT_MS + 10))
    await arrives(world, relayed(name, ZOE))
    assert await world.statuses(name) == {ZOE: "failed"}
    assert (await world.row(name)).status == "failed"
    (mail,) = await notices(world)
    assert b"mx.example.net" in mail


@pytest.mark.parametrize(
    "fields",
    [
        {"address": BOB},  # delivered into a mailbox here
        {"address": "eve@example.net"},
        {"address": "not an address"},
        {"address": ZOE, "reverse_path": "zoe@example.net"},
        {"address": ZOE, "user_id": "eve"},
        {"address": ZOE, "to": "ann@postriver.test"},
        {"address": ZOE, "to": PATHS.make(new_id(), "postriver.test", now_ms=AT_MS)},
        {"address": ZOE, "at_ms": AT_MS + 15 * 86_400_000},  # the reverse-path has expired
        {"address": ZOE, "content": b"Subject: Sorry\r\n\r\nNo such user.\r\n"},
    ],
)
async def test_other_mail_changes_no_recipient(world: SendingWorld, fields: dict) -> None:
    name = await sent(world, ZOE)
    before = await world.row(name)
    await arrives(world, bounce(name, **fields))
    assert await world.row(name) == before
    assert (fields.get("user_id", "ann"), "inbox") in world.delivered()


async def test_a_forged_reverse_path_changes_no_recipient(world: SendingWorld) -> None:
    name = await sent(world, ZOE)
    before = await world.row(name)
    path = ReversePaths((b"x" * 32,)).make(name, "postriver.test", now_ms=AT_MS)
    await arrives(world, bounce(name, ZOE, to=path))
    assert await world.row(name) == before
