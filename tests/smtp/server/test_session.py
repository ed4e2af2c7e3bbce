"""SMTP dialogues: commands and their replies (RFC 5321, RFC 2034)."""

import asyncio
import smtplib

import pytest

HELLO = ("EHLO c.example", "250")
FROM = ("MAIL FROM:<s@remote.example>", "250 2.1.0")
TO = ("RCPT TO:<alice@postriver.test>", "250 2.1.5")
LONG = "x" * 600

DIALOGUES = {
    "helo": [("HELO c.example", "250 mx.postriver.test"), FROM, TO],
    "no hello": [(*FROM[:1], "503 5.5.1"), (*TO[:1], "503 5.5.1"), ("DATA", "503 5.5.1")],
    "hello needs a name": [("EHLO", "501 5.5.4"), ("HELO", "501 5.5.4")],
    "unknown command": [("FNORD", "500 5.5.1"), ("", "500 5.5.1"), ("MAILX FROM:<>", "500 5.5.1")],
    "known, not done": [("EXPN list", "502 5.5.1"), ("AUTH PLAIN", "502 5.5.1"), HELLO],
    "no transaction": [HELLO, ("BDAT 0 LAST", "503 5.5.1"), FROM, ("BDAT 0", "503 5.5.1")],
    "case and spaces": [("ehlo c", "250"), ("mail from: <s@r.example> ", "250"), TO],
    "no brackets": [
        HELLO,
        ("MAIL FROM:s@r.example SIZE=5", "250"),
        ("RCPT TO:bob@postriver.test", "250"),
    ],
    "mail syntax": [
        HELLO,
        ("MAIL", "501 5.5.4"),
        ("MAIL <s@r.example>", "501 5.5.4"),
        ("MAIL FROM:", "501 5.5.4"),
        ("MAIL FROM:<s@r.example", "501 5.5.4"),
        ("MAIL FROM:<s@r.example>x", "501 5.5.4"),
        ("MAIL FROM:<s>", "553 5.1.7"),
        ("MAIL FROM:<@>", "553 5.1.7"),
        ("MAIL FROM:<a b@r.example>", "501 5.5.4"),
        ("MAIL FROM:<s@r..,x>", "553 5.1.7"),
        FROM,
    ],
    "null reverse-path": [HELLO, ("MAIL FROM:<>", "250"), (*FROM[:1], "503 5.5.1"), TO],
    "quoted and routed": [
        HELLO,
        ('MAIL FROM:<"a > b\\"c"@r.example> SIZE=10', "250"),
        ("RCPT TO:<@x.example,@y.example:bob@postriver.test>", "250"),
        ('RCPT TO:<"alice"@postriver.test>', "250"),
    ],
    "nested": [HELLO, FROM, (*FROM[:1], "503 5.5.1"), TO],
    "parameters": [
        HELLO,
        ("MAIL FROM:<s@r.example> SIZE=52428800 BODY=8BITMIME SMTPUTF8", "250"),
        ("RSET", "250 2.0.0"),
        ("MAIL FROM:<s@r.example> BODY=7bit", "250"),
        ("RCPT TO:<alice@postriver.test> NOTIFY=NEVER", "555 5.5.4"),
        ("RCPT TO:<alice@postriver.test> ORCPT=rfc822;a@r.example", "555 5.5.4"),
        TO,
    ],
    "AUTH of a client that was offered none": [
        HELLO,
        ("MAIL FROM:<bounces+SRS=Nsvoo=YB@r.example> SIZE=1459 AUTH=<>", "250"),
        ("RSET", "250 2.0.0"),
        ("MAIL FROM:<s@r.example> AUTH=e+3Dmc2@example.org BODY=8BITMIME", "250"),
        ("RSET", "250 2.0.0"),
        (f"MAIL FROM:<s@r.example> AUTH={'x' * 490}", "250"),
        ("RCPT TO:<alice@postriver.test> AUTH=<>", "555 5.5.4"),
        TO,
    ],
    "bad parameters": [
        HELLO,
        ("MAIL FROM:<s@r.example> SIZE=52428801", "552 5.3.4"),
        ("MAIL FROM:<s@r.example> SIZE=many", "501 5.5.4"),
        ("MAIL FROM:<s@r.example> SIZE", "501 5.5.4"),
        ("MAIL FROM:<s@r.example> SIZE=1 SIZE=1", "501 5.5.4"),
        ("MAIL FROM:<s@r.example> BODY=BINARYMIME", "501 5.5.4"),
        ("MAIL FROM:<s@r.example> SMTPUTF8=yes", "501 5.5.4"),
        ("MAIL FROM:<s@r.example> AUTH", "501 5.5.4"),
        ("MAIL FROM:<s@r.example> AUTH=<> AUTH=<>", "501 5.5.4"),
        ("MAIL FROM:<s@r.example> RET=HDRS", "555 5.5.4"),
        ("MAIL FROM:<s@r.example> ENVID=QQ314159", "555 5.5.4"),
        ("MAIL FROM:<s@r.example> =", "501 5.5.4"),
    ],
    "no extensions after HELO": [
        ("HELO c", "250"),
        ("MAIL FROM:<s@r.example> SIZE=1", "555 5.5.4"),
    ],
    "recipients": [
        HELLO,
        (*TO[:1], "503 5.5.1"),
        FROM,
        ("RCPT", "501 5.5.4"),
        ("RCPT TO:<>", "553 5.1.3"),
        ("RCPT TO:<nobody@postriver.test>", "550 5.1.1"),
        ("RCPT TO:<x@elsewhere.example>", "550 5.7.1"),
        ("RCPT TO:<alice%elsewhere.example@postriver.test>", "550 5.1.1"),
        ("RCPT TO:<@postriver.test:x@elsewhere.example>", "550 5.7.1"),
        ("RCPT TO:<alice>", "553 5.1.3"),
        ("RCPT TO:<postmaster>", "250"),
        ("RCPT TO:<Postmaster@mx.postriver.test>", "250"),
        ("RCPT TO:<alice+lists@POSTRIVER.test>", "250"),
        ("RCPT TO:<bob@postriver.test.>", "250"),
        ("RCPT TO:<x@elsewhere.example.>", "550 5.7.1"),
        ("RCPT TO:<abuse@postriver.test>", "250"),
        TO,
    ],
    "data out of order": [
        HELLO,
        ("DATA", "503 5.5.1"),
        FROM,
        ("DATA", "503 5.5.1"),
        ("RCPT TO:<nobody@postriver.test>", "550 5.1.1"),
        ("DATA", "554 5.5.1"),
        TO,
        ("DATA now", "501 5.5.4"),
        ("DATA", "354"),
    ],
    "resets": [HELLO, FROM, TO, HELLO, ("DATA", "503 5.5.1"), FROM, ("RSET now", "501 5.5.4"), TO],
    "beyond ASCII": [
        HELLO,
        ("MAIL FROM:<é@r.example>", "553 5.6.7"),
        FROM,
        ("RCPT TO:<누구@postriver.test>", "553 5.6.7"),
        ("RSET", "250"),
        ("MAIL FROM:<é@r.example> SMTPUTF8", "250"),
        ("RCPT TO:<누구@postriver.test>", "250"),
    ],
    "talk": [
        ("NOOP", "250 2.0.0"),
        ("NOOP at all", "250 2.0.0"),
        ("VRFY alice", "252 2.0.0"),
        ("VRFY", "501 5.5.4"),
        ("HELP", "250 2.0.0"),
        ("HELP MAIL", "250 2.0.0 Syntax"),
        ("HELP FNORD", "501 5.5.4"),
        ("QUIT now", "501 5.5.4"),
        ("QUIT", "221 2.0.0"),
    ],
    "no TLS here": [HELLO, ("STARTTLS", "502 5.5.1"), ("STARTTLS x", "501 5.5.4")],
    "long lines": [
        ("NOOP " + "x" * 505, "250"),
        ("NOOP " + "x" * 506, "500 5.5.2"),
        HELLO,
        (f"MAIL FROM:<{'x' * 300}@{'y' * 200}> SIZE=10000 BODY=8BITMIME", "250"),
        ("RSET", "250"),
        (f"MAIL FROM:<{'x' * 400}@{'y' * 200}>", "553 5.1.7"),
        FROM,
        (f"RCPT TO:<{LONG}@postriver.test>", "500 5.5.2"),
        ("x" * 100_000, "500 5.5.2"),
        TO,
    ],
    "broken lines": [
        ("NOOP \x00", "500 5.5.2"),
        ("NOOP\r", "500 5.5.2"),
        ("EHLO c\nMAIL FROM:<s@r.example>", "500 5.5.2"),
    ],
}


@pytest.mark.parametrize("name", DIALOGUES)
async def test_dialogue(rig, name):
    await rig.serve()
    client = await rig.connect()
    for line, expected in DIALOGUES[name]:
        coded = line[:4].upper() not in {"EHLO", "HELO"}
        assert (await client.ask(line, coded=coded)).startswith(expected), line
    assert rig.mails() == []


async def test_what_ehlo_offers(rig):
    await rig.serve()
    client = await rig.connect()
    offered = {line[4:] for line in (await client.greet()).split("\n")[1:]}
    assert offered == {
        "PIPELINING",
        "SIZE 52428800",
        "8BITMIME",
        "SMTPUTF8",
        "ENHANCEDSTATUSCODES",
        "CHUNKING",
        "HELP",
    }


async def test_a_line_that_is_no_utf8(rig):
    await rig.serve()
    client = await rig.connect()
    await client.greet()
    await client.send(b"MAIL FROM:<\xff\xfe@r.example> SMTPUTF8\r\n")
    assert (await client.reply()).startswith("500 5.5.2")


async def test_a_greeting_in_latin_1_is_taken_and_named_harmlessly(rig):
    await rig.serve()
    client = await rig.connect()
    await client.send("EHLO pc-von-jürgen\r\n".encode("latin-1"))
    assert (await client.reply(coded=False)).startswith("250")
    await client.ask("MAIL FROM:<s@r.example>")
    await client.ask("RCPT TO:<alice@postriver.test>")
    await client.ask("DATA")
    assert (await client.ask("hi\r\n.")).startswith("250")
    assert rig.mails()[0].envelope.helo == "pc-von-j?rgen"


async def test_pipelining_of_two_mails_in_one_write(rig):
    await rig.serve()
    client = await rig.connect()
    await client.greet()
    envelope = (
        b"MAIL FROM:<s@r.example>\r\nRCPT TO:<nobody@postriver.test>\r\n"
        b"RCPT TO:<alice@postriver.test>\r\nDATA\r\n"
    )
    await client.send(envelope)
    assert [(await client.reply())[:3] for _ in range(4)] == ["250", "550", "250", "354"]
    await client.send(b"one\r\n.\r\n" + envelope + b"two\r\n.\r\nNOOP\r\nQUIT\r\n")
    got = [(await client.reply())[:3] for _ in range(8)]
    assert got == ["250", "250", "550", "250", "354", "250", "250", "221"]
    assert [await rig.bytes_of(mail) for mail in rig.mails()] == [b"one\r\n", b"two\r\n"]
    assert [len(mail.envelope.recipients) for mail in rig.mails()] == [1, 1]


ENVELOPE = b"MAIL FROM:<s@r.example>\r\nRCPT TO:<alice@postriver.test>\r\n"


async def test_chunks_make_the_same_mail_as_data(rig):
    server = await rig.serve()
    client = await rig.connect()
    assert "\n250-CHUNKING\n" in await client.greet()
    body = b"Subject: x\r\n\r\n.\r\n..dots\r"
    await client.send(ENVELOPE + b"BDAT 12\r\n" + body[:12] + b"BDAT 0\r\n")
    await client.send(f"BDAT {len(body) - 12}\r\n".encode() + body[12:] + b"BDAT 1 LAST\r\n\n")
    await client.send(ENVELOPE + b"DATA\r\nSubject: x\r\n\r\n..\r\n...dots\r\n.\r\n")
    got = [(await client.reply())[:3] for _ in range(10)]
    assert got == ["250"] * 8 + ["354", "250"]
    chunked, plain = rig.mails()
    assert await rig.bytes_of(chunked) == await rig.bytes_of(plain) == body + b"\n"
    assert chunked.trace_size_bytes == plain.trace_size_bytes
    assert chunked.envelope == plain.envelope
    assert (server.stats.data_in_progress, server.stats.held_bytes) == (0, 0)


@pytest.mark.parametrize(
    ("chunks", "reply"),
    [
        ([b"x" * 201], "552 5.3.4"),
        ([b"x" * 150, b"x" * 51], "552 5.3.4"),
        ([b"bare\n"], "554 5.6.0"),
        ([b"bare\r", b"x"], "554 5.6.0"),
        ([b"x" * 60, b"x" * 60], "500 5.5.2"),
        ([b"Received: x\r\nRecei", b"ved: x\r\n" + b"Received: x\r\n" * 2], "554 5.4.6"),
    ],
)
async def test_chunks_have_the_limits_of_data(rig, chunks, reply):
    await rig.serve(message_max_bytes=200, line_max_bytes=110, received_max=3)
    client = await rig.connect()
    await client.greet()
    await client.send(ENVELOPE)
    await client.reply(), await client.reply()
    for chunk in chunks:
        await client.send(f"BDAT {len(chunk)}\r\n".encode() + chunk)
        got = await client.reply()
    assert got.startswith(reply)
    assert (await client.ask("DATA")).startswith("503")
    assert (await client.ask("RCPT TO:<bob@postriver.test>")).startswith("503")
    assert (await client.ask("BDAT 0 LAST")).startswith(reply)
    await client.send(ENVELOPE + b"BDAT 4 LAST\r\nhi\r\n")
    assert [(await client.reply())[:3] for _ in range(3)] == ["250"] * 3
    assert len(rig.mails()) == 1


async def test_a_pause_between_chunks_ends_as_one_within_a_mail(rig):
    server = await rig.serve(data_window_s=0.1)
    client = await rig.connect()
    await client.greet()
    await client.send(ENVELOPE + b"BDAT 4\r\nhalf")
    assert [(await client.reply())[:3] for _ in range(3)] == ["250"] * 3
    assert (await client.reply()).startswith("421 4.4.2")
    assert await client.reply() == "closed"
    async with asyncio.timeout(10):
        while server.stats.data_in_progress:
            await asyncio.sleep(0.01)
    assert rig.mails() == []


async def test_small_chunks_without_an_end_are_chatter(rig):
    await rig.serve(chatter_max=9)
    client = await rig.connect()
    await client.greet()
    await client.send(ENVELOPE + b"BDAT 0\r\n" * 12)
    got = [(await client.reply())[:3] for _ in range(13)]
    assert got.index("421") < 12


async def test_a_client_that_shuts_its_side_gets_every_answer(rig):
    await rig.serve()
    client = await rig.connect()
    await client.begin()
    await client.send(b"hello\r\n.\r\nNOOP\r\n")
    client.writer.write_eof()
    assert (await client.reply()).startswith("250 2.0.0 ")
    assert (await client.reply()).startswith("250 2.0.0 ")
    assert await client.reply() == "closed"
    assert len(rig.mails()) == 1


async def test_the_end_of_the_connection_is_no_end_of_the_mail(rig):
    server = await rig.serve()
    for tail in (b"half a mail\r\n", b"half a mail\r\n.", b"half\r\n.\r"):
        client = await rig.connect()
        await client.begin()
        await client.send(tail)
        client.writer.write_eof()
        assert await client.reply() == "closed"
    assert rig.mails() == []
    assert server.stats.accepted_total == 0


async def test_the_same_forward_path_twice_is_one_recipient(rig):
    await rig.serve()
    client = await rig.connect()
    paths = ("alice@postriver.test", "alice@Postriver.TEST", "alice+x@postriver.test")
    assert (await client.send_mail(b"hi\r\n.\r\n", *paths)).startswith("250 ")
    (mail,) = rig.mails()
    assert [r.address for r in mail.envelope.recipients] == [paths[0], paths[2]]


async def test_more_recipients_than_allowed(rig):
    await rig.serve(recipients_max=3)
    client = await rig.connect()
    await client.greet()
    await client.ask("MAIL FROM:<>")
    got = [(await client.ask(f"RCPT TO:<alice+{n}@postriver.test>"))[:9] for n in range(5)]
    assert got == ["250 2.1.5"] * 3 + ["452 4.5.3"] * 2
    assert (await client.ask("RCPT TO:<alice+1@postriver.test>")).startswith("250")
    assert (await client.ask("DATA")).startswith("354")
    await client.send(b".\r\n")
    assert (await client.reply()).startswith("250")
    assert len(rig.mails()[0].envelope.recipients) == 3


async def test_smtplib_speaks_with_us(rig):
    server = await rig.serve()

    def deliver() -> tuple[dict, int]:
        with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
            sent = client.sendmail(
                "s@r.example",
                ["alice@postriver.test", "nobody@postriver.test"],
                b"Subject: x\r\n\r\n.dot\r\n..\r\n\xff",
                mail_options=["BODY=8BITMIME"],
            )
            return sent, client.noop()[0]

    refused, noop = await asyncio.to_thread(deliver)
    assert list(refused) == ["nobody@postriver.test"]
    assert noop == 250
    assert await rig.bytes_of(rig.mails()[0]) == b"Subject: x\r\n\r\n.dot\r\n..\r\n\xff\r\n"
