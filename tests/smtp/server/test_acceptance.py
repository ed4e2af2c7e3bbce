"""Acceptance: the published event, and the conditions of a 250."""

import logging
import re

import pytest

from mail import ids
from mail.errors import BrokerUnavailable, StoreUnavailable
from schemas.content import Inline, Stored

WIRE = b"Subject: x\r\n\r\nhello\r\n.\r\n"


async def test_what_is_published(rig):
    await rig.serve(worker="ingress-7")
    client = await rig.connect()
    reply = await client.send_mail(WIRE, "alice@postriver.test", "bob+x@postriver.test")
    (mail,) = rig.mails()
    assert reply == f"250 2.0.0 {mail.mail_id} accepted"
    assert abs(ids.time_ms(mail.mail_id) - mail.received_at_ms) < 60_000
    envelope = mail.envelope
    assert (envelope.reverse_path, envelope.client) == ("s@remote.example", "127.0.0.1")
    assert (envelope.helo, envelope.protocol) == ("client.example", "ESMTP")
    assert [(r.address, r.user_id) for r in envelope.recipients] == [
        ("alice@postriver.test", "u-alice"),
        ("bob+x@postriver.test", "u-bob"),
    ]
    (hop,) = mail.hops
    assert (hop.stage, hop.verdict, hop.worker) == ("ingress", "accepted", "ingress-7")
    assert hop.started_at_ms <= mail.received_at_ms
    assert await rig.bytes_of(mail) == b"Subject: x\r\n\r\nhello\r\n"


async def test_the_trace_header(rig):
    await rig.serve()
    client = await rig.connect()
    given = b"Return-Path: <old@x>\r\nReceived: from y\r\n\r\nhi\r\n"
    await client.send_mail(given + b".\r\n")
    (mail,) = rig.mails()
    trace = mail.content.data[: mail.trace_size_bytes].decode()
    assert re.fullmatch(
        r"Return-Path: <s@remote\.example>\r\n"
        r"Received: from client\.example \(\[127\.0\.0\.1\]\)\r\n"
        r"\tby mx\.postriver\.test with ESMTP\r\n"
        rf"\tid {mail.mail_id}\r\n"
        r"\tfor <alice@postriver\.test>;\r\n"
        r"\t\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000\r\n",
        trace,
    )
    assert await rig.bytes_of(mail) == given


async def test_several_recipients_do_not_learn_of_each_other(rig):
    await rig.serve()
    client = await rig.connect()
    await client.send_mail(WIRE, "alice@postriver.test", "bob@postriver.test")
    (mail,) = rig.mails()
    trace = mail.content.data[: mail.trace_size_bytes]
    assert b"alice" not in trace
    assert b"bob" not in trace


async def test_nothing_a_client_says_breaks_the_trace_header(rig):
    await rig.serve()
    client = await rig.connect()
    await client.ask("EHLO evil (x);\tby 누 " + "y" * 300, coded=False)  # the tab is refused
    await client.ask("EHLO evil (x); by 누 " + "y" * 300, coded=False)
    await client.ask('MAIL FROM:<"a>\\"(b) c"@r.example>')
    await client.ask("RCPT TO:<alice@postriver.test>")
    await client.ask("DATA")
    await client.send(b" folded first line\r\n\r\nhi\r\n.\r\n")
    assert (await client.reply()).startswith("250")
    (mail,) = rig.mails()
    trace = mail.content.data[: mail.trace_size_bytes].decode()
    lines = trace.split("\r\n")
    assert [line[:9] for line in lines[:3]] == ["Return-Pa", "Received:", "\tby mx.po"]
    assert re.fullmatch(r"Received: from [A-Za-z0-9?._-]{255} \(\[127\.0\.0\.1\]\)", lines[1])
    assert lines[0] == 'Return-Path: <"a>\\"(b) c"@r.example>'


async def test_smtputf8_paths_arrive_whole(rig):
    await rig.serve()
    client = await rig.connect()
    await client.greet()
    await client.ask("MAIL FROM:<é@r.example> SMTPUTF8")
    await client.ask("RCPT TO:<누구@postriver.test>")
    await client.ask("DATA")
    await client.send("Subject: 안녕\r\n\r\n".encode() + b"\xff\r\n.\r\n")
    assert (await client.reply()).startswith("250")
    (mail,) = rig.mails()
    assert mail.envelope.protocol == "UTF8SMTP"
    assert mail.envelope.recipients[0].user_id == "u-누구"
    trace = mail.content.data[: mail.trace_size_bytes].decode()
    assert trace.startswith("Return-Path: <é@r.example>\r\n")
    assert "for <누구@postriver.test>" in trace


async def test_small_content_travels_inside_and_larger_in_the_store(rig):
    await rig.serve(inline_max_bytes=1000)
    client = await rig.connect()
    await client.send_mail(b"x" * 600 + b"\r\n.\r\n")
    small = rig.mails()[0]
    assert isinstance(small.content, Inline)
    assert rig.contents.contents == {}
    await client.ask("RSET")
    await client.send_mail(b"x" * (998 - small.trace_size_bytes) + b"\r\n.\r\n")
    await client.send_mail(b"x" * (999 - small.trace_size_bytes) + b"\r\n.\r\n")
    exact, larger = rig.mails()[1:]
    assert isinstance(exact.content, Inline)
    assert exact.content.size_bytes == 1000
    assert isinstance(larger.content, Stored)
    assert larger.content.size_bytes == 1001
    assert list(rig.contents.contents) == [larger.mail_id]


def raising(error: Exception):
    def fault(step: str) -> None:
        raise error

    return fault


@pytest.mark.parametrize("error", [BrokerUnavailable("no ack"), ValueError("a bug")])
async def test_no_acknowledgement_is_no_250(rig, error):
    server = await rig.serve()
    rig.publisher.fault = raising(error)
    client = await rig.connect()
    assert (await client.send_mail(WIRE)).startswith("451 4.3.0")
    assert server.stats.accepted_total == 0
    rig.publisher.fault = lambda _: None
    assert (await client.send_mail(WIRE)).startswith("250 2.0.0")
    assert len(rig.mails()) == 1


async def test_no_answer_from_the_broker_is_451_within_the_bound(rig):
    await rig.serve(accept_max_s=0.2)
    rig.publisher.open.clear()
    client = await rig.connect()
    assert (await client.send_mail(WIRE)).startswith("451 4.3.0")
    rig.publisher.open.set()
    again = await client.send_mail(WIRE)
    assert again.startswith("250 2.0.0")
    assert len(rig.mails()) == 1
    assert rig.mails()[0].mail_id in again


async def test_the_event_waits_for_the_content(rig):
    await rig.serve(inline_max_bytes=10)
    rig.contents.fault = raising(StoreUnavailable("content", "disk full"))
    client = await rig.connect()
    assert (await client.send_mail(WIRE)).startswith("451 4.3.0")
    assert rig.publisher.asked == 0


async def test_no_directory_no_answer_about_a_recipient(rig):
    await rig.serve()
    client = await rig.connect()
    await client.greet()
    await client.ask("MAIL FROM:<>")
    for error in (StoreUnavailable("directory"), OSError("a bug")):
        rig.directory.fault = raising(error)
        assert (await client.ask("RCPT TO:<alice@postriver.test>")).startswith("451 4.3.0")
    rig.directory.fault = lambda _: None
    assert (await client.ask("RCPT TO:<alice@postriver.test>")).startswith("250")


async def test_a_closed_gate_is_452_at_mail_and_logged_once(rig, caplog):
    await rig.serve()
    client = await rig.connect()
    await client.greet()
    rig.gate.reason = "disk: 5 MiB left"
    for _ in range(3):
        assert (await client.ask("MAIL FROM:<s@r.example>")).startswith("452 4.3.1")
    assert [r.getMessage() for r in caplog.records if "disk" in r.getMessage()] == [
        "taking no mail: disk: 5 MiB left"
    ]
    rig.gate.reason = None
    assert (await client.ask("MAIL FROM:<s@r.example>")).startswith("250")


async def test_a_loop_is_refused_and_a_long_way_is_not(rig):
    await rig.serve()
    client = await rig.connect()
    hop = b"Received: from a by b\r\n"
    assert (await client.send_mail(hop * 101 + b"\r\n.\r\n")).startswith("554 5.4.6")
    assert (await client.send_mail(hop * 100 + b"\r\n" + hop * 9 + b".\r\n")).startswith("250")


async def test_one_line_a_mail_in_the_log_and_nothing_private_in_it(rig, caplog):
    caplog.set_level(logging.INFO)
    await rig.serve()
    client = await rig.connect()
    await client.send_mail(b"Subject: secret\r\n\r\n.\r\n")
    lines = [r.getMessage() for r in caplog.records if rig.mails()[0].mail_id in r.getMessage()]
    assert len(lines) == 1
    assert re.search(r"accepted: \d+ bytes, 1 recipients, ESMTP, [\d.]+ ms$", lines[0])
    assert not re.search(
        "alice|remote.example|secret|127.0.0.1",
        caplog.text.split("listens", 1)[1].split("\n", 1)[1],
    )


async def test_what_is_counted(rig):
    server = await rig.serve()
    client = await rig.connect()
    await client.send_mail(WIRE)
    await client.ask("MAIL FROM:<>")
    await client.ask("RCPT TO:<nobody@postriver.test>")
    await client.ask("RCPT TO:<a@b.example>")
    await client.ask("RCPT TO:<c@b.example>")
    stats = server.stats
    limiter = server.connections
    assert (stats.accepted_total, limiter.open, limiter.opened_total) == (1, 1, 1)
    assert stats.accepted_bytes_total == rig.mails()[0].content.size_bytes
    assert dict(stats.refused_total) == {"550 5.1.1": 1, "550 5.7.1": 2}
