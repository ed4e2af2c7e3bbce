"""The dialogue: sign-in, capabilities, states, and the grammar of commands."""

import base64

import pytest

from mail.errors import StoreUnavailable
from stores.memory.faults import no_fault
from tests.pop3.conftest import ALICE, BOB, PASSWORD

MAIL = b"Subject: hello\r\n\r\nHello\r\n"
PLAIN = base64.b64encode(f"\0{ALICE}\0{PASSWORD}".encode()).decode()


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def test_a_whole_session(rig):
    await rig.serve()
    first, second = await rig.deliver(MAIL), await rig.deliver(MAIL + b"More\r\n")
    client = await rig.connect()
    size = len(MAIL)
    assert await client.sign_in() == f"+OK maildrop has 2 messages ({2 * size + 6} octets)"
    assert await client.ask("STAT") == f"+OK 2 {2 * size + 6}"
    assert await client.ask_lines("LIST") == [f"1 {size}", f"2 {size + 6}"]
    assert await client.ask("LIST 2") == f"+OK 2 {size + 6}"
    assert await client.ask_lines("UIDL") == [f"1 {first.message_id}", f"2 {second.message_id}"]
    assert await client.ask("UIDL 1") == f"+OK 1 {first.message_id}"
    assert await client.ask_lines("RETR 1") == ["Subject: hello", "", "Hello"]
    assert await client.ask_lines("TOP 2 1") == ["Subject: hello", "", "Hello"]
    assert await client.ask("NOOP") == "+OK"
    assert await client.ask("DELE 1") == "+OK message 1 marked as deleted"
    assert await client.ask("STAT") == f"+OK 1 {size + 6}"
    assert await client.ask_lines("LIST") == [f"2 {size + 6}"]
    assert await client.ask("RSET") == "+OK maildrop has 2 messages"
    assert await client.ask("DELE 2") == "+OK message 2 marked as deleted"
    assert await client.ask("QUIT") == "+OK bye"
    assert await client.line() == "closed"
    assert await rig.inbox() == [first.message_id]


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("RETR 0", "-ERR no such message"),
        ("RETR 3", "-ERR no such message"),
        ("DELE 2", "-ERR the message is marked as deleted"),
        ("RETR 2", "-ERR the message is marked as deleted"),
        ("LIST 2", "-ERR the message is marked as deleted"),
        ("TOP 2 0", "-ERR the message is marked as deleted"),
        ("RETR", "-ERR syntax: RETR message"),
        ("RETR 1 1", "-ERR syntax: RETR message"),
        ("RETR -1", "-ERR RETR takes numbers of up to 9 digits"),
        ("RETR 1234567890", "-ERR RETR takes numbers of up to 9 digits"),
        ("RETR ١", "-ERR RETR takes numbers of up to 9 digits"),
        ("TOP 1", "-ERR syntax: TOP message lines"),
        ("TOP 1 x", "-ERR TOP takes numbers of up to 9 digits"),
        ("STAT 1", "-ERR syntax: STAT"),
        ("QUIT now", "-ERR syntax: QUIT"),
        ("", "-ERR command not recognized"),
        (" STAT", "-ERR command not recognized"),
        ("APOP a b", "-ERR command not recognized"),
        ("GET / HTTP/1.1", "-ERR command not recognized"),
        ("USER a", "-ERR command not valid in this state"),
        ("PASS a", "-ERR command not valid in this state"),
        ("AUTH PLAIN", "-ERR command not valid in this state"),
        ("UTF8", "-ERR command not valid in this state"),
        ("STLS", "-ERR command not valid in this state"),
        ("STAT\0", "-ERR a command is one line of UTF-8 that ends with CR LF"),
        ("STAT " + "x" * 300, "-ERR command line too long"),
        ("STAT " + "x" * 60_000, "-ERR command line too long"),
        ("stat", f"+OK 1 {len(MAIL)}"),
        ("STAT ", f"+OK 1 {len(MAIL)}"),
    ],
    ids=lambda value: value[:20],
)
async def test_commands_that_fail_change_nothing(rig, command, reply):
    await rig.serve()
    await rig.deliver(MAIL)
    await rig.deliver(MAIL)
    client = await rig.signed()
    await client.ask("DELE 2")
    assert await client.ask(command) == reply
    assert await client.ask("STAT") == f"+OK 1 {len(MAIL)}"


@pytest.mark.parametrize("line", [b"NOOP\n", b"NO\xffOP\r\n", b"NOOP\r\r\n"], ids=repr)
async def test_a_command_is_a_line_of_utf_8_with_crlf(rig, line):
    await rig.serve()
    client = await rig.connect()
    await client.send(line)
    assert await client.line() == "-ERR a command is one line of UTF-8 that ends with CR LF"


@pytest.mark.parametrize("verb", ["STAT", "LIST", "UIDL", "RETR 1", "DELE 1", "RSET", "TOP 1 1"])
async def test_the_maildrop_needs_a_sign_in(rig, verb):
    await rig.serve()
    client = await rig.connect()
    assert await client.ask(verb) == "-ERR sign in first"


async def test_capabilities(rig):
    await rig.serve()
    client = await rig.connect()
    assert await client.ask_lines("CAPA") == [
        "TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "UTF8 USER",
        "IMPLEMENTATION Postriver", "USER", "SASL PLAIN LOGIN",
    ]  # fmt: skip
    assert await client.ask("UTF8") == "+OK UTF8 enabled"
    assert (await client.sign_in()).startswith("+OK")
    assert "UIDL" in await client.ask_lines("CAPA")


async def test_wrong_credentials_are_all_alike_and_end_the_connection(rig):
    await rig.serve()
    client = await rig.connect()
    wrong = "-ERR [AUTH] address or password is wrong"
    assert await client.sign_in(password="guess") == wrong
    assert await client.ask(f"PASS {PASSWORD}") == "-ERR USER comes before PASS"
    assert await client.sign_in("nobody@postriver.test") == wrong
    assert await client.sign_in("no address at all") == wrong
    assert await client.line() == "-ERR [AUTH] too many failed sign-ins"
    assert await client.line() == "closed"


async def test_an_application_password_needs_the_scope_read(rig):
    await rig.serve()
    reading, sending = await rig.app_password("read"), await rig.app_password("send")
    client = await rig.connect()
    assert (await client.sign_in(password=sending)).startswith("-ERR [AUTH]")
    assert (await client.sign_in(password=reading)).startswith("+OK")
    rows = await rig.directory.sign_ins("alice", limit=5)
    assert {(row.outcome, row.protocol, row.missing_scope) for row in rows} == {
        ("success", "pop3", ""), ("failure", "pop3", "read"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "lines",
    [
        [f"AUTH PLAIN {PLAIN}"],
        ["AUTH plain", PLAIN],
        ["AUTH LOGIN", encoded(ALICE), encoded(PASSWORD)],
        [f"AUTH LOGIN {encoded(ALICE)}", encoded(PASSWORD)],
    ],
    ids=["plain-initial", "plain", "login", "login-initial"],
)
async def test_sasl(rig, lines):
    await rig.serve()
    client = await rig.connect()
    for line in lines[:-1]:
        assert (await client.ask(line)).startswith("+ ")
    assert await client.ask(lines[-1]) == "+OK maildrop has 0 messages (0 octets)"


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        (["AUTH"], "-ERR syntax: AUTH mechanism [initial-response]"),
        (["AUTH CRAM-MD5"], "-ERR unknown authentication mechanism"),
        (["AUTH PLAIN", "*"], "-ERR authentication cancelled"),
        (["AUTH PLAIN", "???"], "-ERR malformed authentication response"),
        (["AUTH PLAIN ="], "-ERR malformed authentication response"),
        (["AUTH PLAIN", "A" * 13_000], "-ERR authentication response too long"),
        (["AUTH PLAIN", "A" * 70_000], "-ERR authentication response too long"),
    ],
    ids=["none", "unknown", "cancel", "no-base64", "empty", "long", "beyond-the-buffer"],
)
async def test_sasl_that_fails(rig, lines, reply):
    await rig.serve()
    client = await rig.connect()
    for line in lines[:-1]:
        assert await client.ask(line) == "+ "
    assert await client.ask(lines[-1]) == reply
    assert (await client.sign_in()).startswith("+OK")


async def test_one_session_has_a_maildrop(rig):
    await rig.serve()
    first, second = await rig.signed(), await rig.connect()
    in_use = "-ERR [IN-USE] another session has opened this mailbox"
    assert await second.sign_in() == in_use
    assert (await rig.signed(BOB)).reader is not None
    assert await first.ask("QUIT") == "+OK bye"
    assert (await second.sign_in()).startswith("+OK")


async def test_a_limited_sign_in_is_told_when_to_try_again(rig):
    rig.limits = type(rig.limits)(connections=1)
    await rig.serve()
    client = await rig.signed()
    await client.ask("QUIT")
    client = await rig.connect()
    reply = await client.sign_in()
    assert reply.startswith("-ERR [LOGIN-DELAY] too many attempts, try again in ")


async def test_a_store_that_does_not_answer_is_temporary(rig):
    await rig.serve()

    def fail(step):
        raise StoreUnavailable("sqlite")

    rig.world.store.fault = fail
    client = await rig.connect()
    assert await client.sign_in() == "-ERR [SYS/TEMP] not available now, try again later"
    rig.world.store.fault = no_fault
    assert (await client.sign_in()).startswith("+OK")


async def test_pipelined_commands_are_answered_in_order(rig):
    await rig.serve()
    await rig.deliver(MAIL)
    client = await rig.connect()
    await client.send(
        f"CAPA\r\nUSER {ALICE}\r\nPASS {PASSWORD}\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n".encode()
    )
    client.writer.write_eof()
    replies = (await client.reader.read()).decode().split("\r\n")
    assert [line for line in replies if line.startswith(("+OK", "-ERR"))][1:] == [
        "+OK send PASS", f"+OK maildrop has 1 messages ({len(MAIL)} octets)",
        f"+OK 1 {len(MAIL)}", f"+OK {len(MAIL)} octets", "+OK message 1 marked as deleted",
        "+OK bye",
    ]  # fmt: skip
    assert await rig.inbox() == []
