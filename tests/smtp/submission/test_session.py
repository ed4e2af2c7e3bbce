"""Submissions: identity, recipients, content, limits, and the event that is behind each 250."""

import asyncio
import email
import email.policy
from email.utils import parsedate_to_datetime

import pytest

from mail.clock import now_ms
from mail.errors import BrokerUnavailable, StoreUnavailable
from mail.sending.sending_limits import SendingLimit, SendingLimits
from schemas.content import Stored
from schemas.directory import Quota
from schemas.mailbox import Usage
from tests.smtp.submission.conftest import ALICE, BOB, MAIL, Rig, hand_in


def mail(*fields: str, sender: str = ALICE, body: str = "hello\r\n") -> bytes:
    """A mail of `sender` with more header fields."""
    lines = [f"From: {sender}", "Date: Sat, 28 Nov 2026 10:00:00 +0000", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


async def test_a_mail_becomes_an_event_of_its_sender(rig: Rig) -> None:
    await rig.serve(relay="mx")
    client = await rig.signed()
    reply = await hand_in(client, MAIL, BOB, "carol@remote.example")
    (submit,) = rig.submits
    assert reply == f"250 2.0.0 {submit.mail.mail_id} queued"
    assert (submit.user_id, submit.domain_id, submit.fire_at_ms) == ("alice", "d", 0)
    assert [each.address for each in submit.mail.recipients] == [BOB, "carol@remote.example"]
    assert submit.mail.reverse_path == ALICE
    assert submit.mail.protocol == "ESMTPSA"
    assert submit.mail.sent_copy is None
    assert submit.mail.is_saved
    assert not submit.mail.needs_smtputf8


async def test_missing_fields_are_added_and_the_client_is_not_named(rig: Rig) -> None:
    await rig.serve()
    client = await rig.signed()
    await client.greet("laptop.at.home.example")
    await hand_in(client, MAIL)
    octets = await rig.sent()
    parsed = email.message_from_bytes(octets, policy=email.policy.default)
    mail_id = rig.submits[0].mail.mail_id
    assert parsed["Message-ID"] == f"<{mail_id}@postriver.test>"
    assert abs(parsedate_to_datetime(parsed["Date"]).timestamp() * 1000 - now_ms()) < 60_000
    assert f"by mx.postriver.test with ESMTPSA id {mail_id}" in " ".join(parsed["Received"].split())
    assert b"laptop" not in octets
    assert b"127.0.0.1" not in octets
    assert octets.endswith(MAIL)
    kept = mail("Message-ID: <mine@x.example>", "To: bob@postriver.test")
    await hand_in(client, kept)
    assert (await rig.octets(rig.submits[1].mail.content)).endswith(b"\r\n" + kept)


async def test_bcc_is_in_the_copy_for_sent_alone(rig: Rig) -> None:
    await rig.serve(inline_max_bytes=100)
    client = await rig.signed()
    secret = "Bcc: hidden@postriver.test,\r\n\tmore@postriver.test"
    content = mail(secret, "Return-Path: <x@y.example>", "BCC: third@x.example", "Subject: s",
                   "Authentication-Results: mx.postriver.test; dkim=pass")  # fmt: skip
    assert (await hand_in(client, content)).startswith("250")
    (submit,) = rig.submits
    for_recipients = await rig.octets(submit.mail.content)
    for word in (b"hidden", b"more@", b"third", b"cc:", b"Return-Path", b"dkim=pass"):
        assert word not in for_recipients
    assert b"\r\nTo: undisclosed-recipients:;\r\n" in for_recipients
    assert isinstance(submit.mail.sent_copy, Stored)
    copy = await rig.octets(submit.mail.sent_copy)
    assert secret.encode() in copy
    assert b"third@x.example" in copy
    assert b"Return-Path" not in copy
    assert submit.mail.sent_copy.ref == submit.mail.sent_mail_id != submit.mail.mail_id


@pytest.mark.parametrize(
    "sender",
    ["alice+x@postriver.test", "ALICE@Postriver.TEST", "sales@postriver.test",
     '"alice"@postriver.test'],
)  # fmt: skip
async def test_own_addresses_may_send(rig: Rig, sender: str) -> None:
    await rig.serve()
    client = await rig.signed()
    reply = await hand_in(client, mail(sender=f"A. N. Other <{sender}>"), sender=sender)
    assert reply.startswith("250"), reply


@pytest.mark.parametrize("sender", [BOB, "team@postriver.test", "alice@remote.example"])
async def test_the_addresses_of_others_may_not(rig: Rig, sender: str) -> None:
    """Neither in the envelope nor in a field that names a sender."""
    await rig.serve()
    client = await rig.signed()
    assert (await hand_in(client, sender=sender)).startswith("550 5.7.1")
    for content in (
        mail(sender=sender), mail(sender=f"{ALICE}, {sender}"), mail(f"Sender: {sender}"),
        mail(f"Resent-From: {sender}"), mail(f"Resent-Sender: {sender}", f"Resent-From: {ALICE}"),
    ):  # fmt: skip
        await client.ask("RSET")
        assert (await hand_in(client, content)).startswith("550 5.7.1"), content
    assert rig.publisher.events == []


@pytest.mark.parametrize(
    "fields",
    [
        "", "From: x: alice@postriver.test;", "From: undisclosed-recipients:;",
        f"From: {ALICE}\r\nFrom: {ALICE}", f"From: {ALICE}\r\nfrom: {BOB}", "From: alice",
        f"From: {ALICE},, {ALICE}", f"From: {ALICE} <{BOB}", f"From: {BOB} {ALICE}",
        f'From: "{BOB}" <{ALICE}> <{BOB}>', f"From: <@x:{ALICE}>", f"From: {ALICE}\x01",
        f"From : {ALICE}", f"From: {ALICE}\r\nno field here", f" From: {ALICE}",
        f"From: {ALICE}\r\nSubject: a\r\nSubject: b",
        f"From: {ALICE}\r\nSender: {ALICE}\r\nSender: {ALICE}",
        f"From: a(b <{ALICE}>", f"From: =?utf-8?q?bob=40postriver.test?=, {ALICE}",
    ],
)  # fmt: skip
async def test_a_header_that_can_be_read_in_two_ways_is_refused(rig: Rig, fields: str) -> None:
    await rig.serve()
    client = await rig.signed()
    reply = await hand_in(client, f"{fields}\r\n\r\nhello\r\n".encode())
    assert reply.startswith("550 5.6.0"), reply
    assert rig.publisher.events == []
    assert (await hand_in(client)).startswith("250")  # the session goes on, the mail did not count


@pytest.mark.parametrize(
    ("content", "reply"),
    [
        (MAIL + b"a\nb\r\n", "554 5.6.0"), (MAIL + b"a\rb\r\n", "554 5.6.0"),
        (MAIL + b"a\0b\r\n", "550 5.6.0"), (MAIL + b"x" * 999 + b"\r\n", "550 5.6.0"),
        (MAIL + b"x" * 998 + b"\r\n", "250 2.0.0"),
        (b"Received: x\r\n" * 101 + MAIL, "5"),
        (b"X: y\r\n" * 1001 + MAIL, "552 5.3.4"),
        (b"Subject: \xc3\xa9\r\n" + MAIL.replace(b"Subject: hi\r\n", b""), "550 5.6.7"),
        (MAIL.replace(b"hi", b"\xff"), "550 5.6.0"),
        (MAIL.removesuffix(b"\r\nhello\r\n"), "250 2.0.0"),  # a header without a body
    ],
)  # fmt: skip
async def test_octets_that_cannot_be_sent(rig: Rig, content: bytes, reply: str) -> None:
    await rig.serve()
    client = await rig.signed()
    answer = await hand_in(client, content)
    assert answer.startswith(reply), answer


async def test_smtputf8(rig: Rig) -> None:
    await rig.serve(relay="mx")
    client = await rig.signed()
    content = mail("Subject: 안녕")
    assert (await hand_in(client, content, options=" SMTPUTF8 BODY=8BITMIME")).startswith("250")
    reply = await hand_in(client, MAIL, "누구@remote.example")
    assert reply.startswith("553 5.6.7")
    await client.ask("RSET")
    assert (await hand_in(client, MAIL, options=" SMTPUTF8")).startswith("250")
    first, second = rig.submits
    assert (first.mail.protocol, first.mail.needs_smtputf8) == ("UTF8SMTPSA", True)
    assert not second.mail.needs_smtputf8  # allowed, and not needed


async def test_recipients_are_local_users_or_relayed(rig: Rig) -> None:
    await rig.serve()
    client = await rig.signed()
    await client.ask(f"MAIL FROM:<{ALICE}>")
    for path, reply in (
        ("nobody@postriver.test", "550 5.1.1"),
        ("carol@remote.example", "550 5.7.1 this server does not send to other servers (POSTRIVER"),
        ("bob%remote.example@postriver.test", "550 5.1.1"),
        ("remote.example!bob@postriver.test", "550 5.1.1"),
        ('"bob@remote.example"@postriver.test', "550 5.1.1"),
        ("@remote.example:carol@other.example", "550 5.7.1"),
        ("@remote.example:bob@postriver.test", "250"),  # a route is ignored
        ("carol@remote.example@postriver.test", "553"),
        ("carol", "553 5.1.3"),
        ("postmaster", "250"),
        ("BOB@POSTRIVER.TEST", "250"),
    ):
        assert (await client.ask(f"RCPT TO:<{path}>")).startswith(reply), path
    await client.ask("DATA")
    await client.send(MAIL + b".\r\n")
    assert (await client.reply()).startswith("250")
    (submit,) = rig.submits
    assert [each.address for each in submit.mail.recipients] == [
        "bob@postriver.test", "postmaster@mx.postriver.test",
    ]  # fmt: skip


async def test_a_full_mailbox_and_many_recipients(rig: Rig) -> None:
    await rig.serve(relay="mx", recipients_max=2, unknown_max=2, quota=Quota(size_bytes=1_000))
    client = await rig.signed()
    await client.ask(f"MAIL FROM:<{ALICE}>")
    for path, reply in (("a@x.example", "250"), (BOB, "250"), ("c@x.example", "452 4.5.3")):
        assert (await client.ask(f"RCPT TO:<{path}>")).startswith(reply)
    await client.ask("RSET")
    rig.store.used["alice"] = Usage(990, 1)
    assert (await hand_in(client)).startswith("552 5.2.2")
    rig.store.used["alice"] = Usage(10, 1)
    assert (await hand_in(client)).startswith("250")


async def test_dsn_and_hold(rig: Rig) -> None:
    await rig.serve(bad_commands_max=100)
    client = await rig.signed()
    for options in (
        "RET=NO", "ENVID=", "ENVID=a+b", "ENVID=" + "a" * 101, "ENVID=a+0Db", "HOLDFOR=x",
        "HOLDFOR=99999999", "HOLDUNTIL=tomorrow", "HOLDUNTIL=2999-01-01T00:00:00Z", "X=Y",
        "HOLDFOR=5 HOLDUNTIL=2027-01-01T00:00:00Z", "BODY=BINARYMIME",
        "HOLDUNTIL=2027-13-01T00:00:00Z",
    ):  # fmt: skip
        reply = await client.ask(f"MAIL FROM:<{ALICE}> {options}")
        assert reply.startswith(("501 5.5.4", "555 5.5.4")), (options, reply)
    options = "RET=HDRS ENVID=QQ+2B314 HOLDFOR=3600"
    assert (await client.ask(f"MAIL FROM:<{ALICE}> {options}")).startswith("250")
    for given in ("NOTIFY=", "NOTIFY=NEVER,DELAY", "NOTIFY=X", "ORCPT=bob", "ORCPT=rfc822;a+0Ab",
                  "ORCPT=rfc822;" + "a" * 500, "ORCPT=utf-8;\\x{D800}", "X"):  # fmt: skip
        reply = await client.ask(f"RCPT TO:<{BOB}> {given}")
        assert reply.startswith(("501 5.5.4", "555 5.5.4")), (given, reply)
    given = "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+2Bx@y.example"
    assert (await client.ask(f"RCPT TO:<{BOB}> {given}")).startswith("250")
    await client.ask("DATA")
    await client.send(MAIL + b".\r\n")
    assert (await client.reply()).startswith("250")
    (submit,) = rig.submits
    assert (submit.mail.returned, submit.mail.envelope_id) == ("headers", "QQ+314")
    (recipient,) = submit.mail.recipients
    assert recipient.notify == ("success", "failure")
    assert recipient.original == "rfc822;b+x@y.example"
    assert abs(submit.fire_at_ms - now_ms() - 3_600_000) < 60_000


async def test_chunks_make_the_same_mail_as_data(rig: Rig) -> None:
    await rig.serve()
    client = await rig.signed()
    start = f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<{BOB}>\r\n".encode()
    body = MAIL + b".\r\n..dots\r\n"
    await client.send(start + b"BDAT 10\r\n" + body[:10] + b"BDAT 0\r\n")
    await client.send(f"BDAT {len(body) - 10} LAST\r\n".encode() + body[10:] + b"NOOP\r\n")
    replies = [await client.reply() for _ in range(6)]
    assert [reply[:3] for reply in replies] == ["250"] * 6
    assert (await rig.sent()).endswith(body)
    assert (await hand_in(client)).startswith("250")


async def test_a_mail_that_lost_a_chunk_is_not_sent(rig: Rig) -> None:
    await rig.serve(message_max_bytes=3_000)
    client = await rig.signed()
    start = f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<{BOB}>\r\n".encode()
    for first, reply in ((b"x" * 3_001, "552 5.3.4"), (b"", "250")):
        await client.send(start + f"BDAT {len(first)}\r\n".encode() + first)
        await client.reply(), await client.reply()
        assert (await client.reply()).startswith(reply)
        assert (await client.ask("DATA")).startswith("503")
        assert (await client.ask(f"RCPT TO:<{BOB}>")).startswith("503")
        await client.send(f"BDAT {len(MAIL)} LAST\r\n".encode() + MAIL)
        assert (await client.reply()).startswith(reply)
    assert len(rig.submits) == 1
    await client.send(start + b"BDAT x LAST\r\n")
    await client.reply(), await client.reply()
    assert (await client.reply()).startswith("501")
    assert (await client.reply()).startswith("421")


async def test_without_recipients_chunks_are_read_and_refused(rig: Rig) -> None:
    await rig.serve()
    client = await rig.signed()
    await client.send(f"BDAT {len(MAIL)} LAST\r\n".encode() + MAIL)
    assert (await client.reply()).startswith("503")
    await client.ask(f"MAIL FROM:<{ALICE}>")
    await client.ask("RCPT TO:<nobody@postriver.test>")
    await client.send(f"BDAT {len(MAIL)}\r\n".encode() + MAIL + b"BDAT 0 LAST\r\n")
    assert (await client.reply()).startswith("554 5.5.1")
    assert (await client.reply()).startswith("554 5.5.1")
    assert rig.publisher.events == []


async def test_any_doubt_is_451(rig: Rig) -> None:
    await rig.serve(accept_max_s=0.3, inline_max_bytes=10)
    client = await rig.signed()

    def failing(error: Exception):
        def fault(step: str) -> None:
            raise error

        return fault

    rig.publisher.fault = failing(BrokerUnavailable("away"))
    assert (await hand_in(client)).startswith("451 4.3.0")
    rig.publisher.fault = lambda step: None
    rig.publisher.open.clear()
    assert (await hand_in(client)).startswith("451 4.3.0")
    rig.publisher.open.set()
    rig.contents.fault = failing(StoreUnavailable("contents", "away"))
    assert (await hand_in(client)).startswith("451 4.3.0")
    rig.contents.fault = lambda step: None
    rig.gate.reason = "low disk"
    assert (await hand_in(client)).startswith("452 4.3.1")
    rig.gate.reason = None
    rig.submissions.fault = failing(StoreUnavailable("submissions", "away"))
    assert (await hand_in(client)).startswith("451")
    rig.submissions.fault = lambda step: None
    assert (await hand_in(client)).startswith("250")


async def test_the_limits_of_a_user_hold_over_connections(rig: Rig) -> None:
    minute = SendingLimit(name="minute", period_ms=60_000, mails=2, recipients=0)
    await rig.serve(limits=SendingLimits(minute=minute))
    first, second, bob = await rig.signed(), await rig.signed(), await rig.signed(BOB)
    assert (await hand_in(first, b"broken\r\n")).startswith("550")  # does not count
    assert (await hand_in(first)).startswith("250")
    assert (await hand_in(second)).startswith("250")
    assert (await hand_in(second)).startswith("450 4.7.1 you reached a limit of sending")
    content = mail(sender=BOB)
    assert (await hand_in(bob, content, ALICE, sender=BOB)).startswith("250")
    assert len(rig.submits) == 3


async def test_a_connection_that_ends_within_a_mail_leaves_nothing(rig: Rig) -> None:
    server = await rig.serve()
    for command in (b"DATA\r\n", b"BDAT 100\r\nhalf"):
        client = await rig.signed()
        await client.ask(f"MAIL FROM:<{ALICE}>")
        await client.ask(f"RCPT TO:<{BOB}>")
        await client.send(command)
        async with asyncio.timeout(10):
            while not server.stats.data_in_progress:
                await asyncio.sleep(0.01)
            await client.close()
            while server.stats.data_in_progress or server.connections.open:
                await asyncio.sleep(0.01)
    client = await rig.signed()
    await client.ask(f"MAIL FROM:<{ALICE}>")
    await client.ask(f"RCPT TO:<{BOB}>")
    await client.send(b"BDAT 4\r\nhalf")
    assert (await client.reply()).startswith("250")
    assert server.stats.data_in_progress == 1
    await client.ask("RSET")
    assert (server.stats.data_in_progress, server.stats.held_bytes) == (0, 0)
    assert rig.publisher.events == []
