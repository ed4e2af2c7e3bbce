"""Peers that refuse, drop, stall or talk nonsense at each step: an outcome, soon, and no error."""

import asyncio

import pytest

from mail.ports.mail_transport import REPLY_TEXT_MAX_BYTES
from tests.contracts.mail_transport import transmission
from tests.smtp.client.test_transport import one
from tests.support.smtp_peer import DROP, HANG

PHASES = {
    "GREETING": "greeting", "EHLO": "ehlo", "MAIL": "mail", "RCPT": "rcpt", "DATA": "data",
    "DOT": "final-dot",
}  # fmt: skip
STEPS = pytest.mark.parametrize("step", PHASES)


@STEPS
async def test_4yz_defers(world, step):
    peer = await world.peer(actions={step: "451 4.7.1 not now"})
    outcome = await one(world.transport(peer))
    assert (outcome.kind, outcome.code, outcome.status) == ("deferred", 451, "4.7.1")
    assert (outcome.phase, outcome.text) == (PHASES[step], "4.7.1 not now")
    assert not outcome.in_doubt
    assert peer.received == []


@STEPS
async def test_5yz_fails_but_for_a_refusal_of_the_session(world, step):
    peer = await world.peer(actions={step: "554 5.7.1 never", "HELO": "554 5.7.1 never"})
    outcome = await one(world.transport(peer))
    assert (outcome.code, outcome.phase) == (554, PHASES[step])
    expected = ("deferred", "4.7.1") if step in {"GREETING", "EHLO"} else ("failed", "5.7.1")
    assert (outcome.kind, outcome.status) == expected
    assert peer.received == []


@STEPS
async def test_421_ends_the_session(world, step):
    peer = await world.peer(actions={step: "421 4.3.2 shutting down"})
    outcome = await one(world.transport(peer))
    assert (outcome.kind, outcome.code, outcome.status) == ("deferred", 421, "4.3.2")


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
@STEPS
@pytest.mark.parametrize(
    "fault", [DROP, HANG, b"", b"\0\xff\x80 junk\r\n", b"HTTP/1.1 400\r\n\r\n"]
)
async def test_a_connection_that_breaks_defers(world, step, fault, extensions):
    peer = await world.peer(actions={step: fault}, extensions=extensions)
    outcome = await one(world.transport(peer))
    skipped = step == "MAIL" and not fault and extensions  # the next reply is to RCPT
    phase = "rcpt" if skipped else PHASES[step]
    assert (outcome.kind, outcome.code, outcome.phase) == ("deferred", 0, phase)
    assert outcome.status in {"4.4.2", "4.5.0"}
    assert outcome.text.isprintable()
    assert outcome.text
    assert outcome.in_doubt == (step == "DOT")


@STEPS
@pytest.mark.parametrize(
    "reply",
    [
        b"250-" + b"x" * 1_000_000 + b"\r\n250 x\r\n",
        b"250-x\r\n" * 150_000 + b"250 x\r\n",
        b"220-a\r\n250 b\r\n",
        b"250\r250\r\n",
        b"999 what\r\n",
        b"150 preliminary\r\n",
        b"25 0\r\n",
        b"\r\n\r\n",
        b"334 VXNlcm5hbWU6\r\n",
    ],
    ids=lambda reply: repr(reply[:12]),
)
async def test_replies_beyond_the_rules_end_the_session(world, step, reply):
    peer = await world.peer(actions={step: reply})
    outcome = await one(world.transport(peer))
    assert outcome.phase == PHASES[step]
    if step == "DOT" and len(reply) > 100_000:  # 250 was said: to send it again would be worse
        assert outcome.kind == "relayed"
    else:
        assert (outcome.kind, outcome.status) == ("deferred", "4.5.0")


async def test_a_reply_by_the_octet_is_bounded_in_time(world):
    async def drip(connection):
        for _ in range(100):
            connection.writer.write(b"2")
            await asyncio.sleep(0.1)

    peer = await world.peer(actions={"MAIL": drip})
    outcome = await one(world.transport(peer))
    assert (outcome.kind, outcome.phase, outcome.status) == ("deferred", "mail", "4.4.2")


async def test_a_peer_that_does_not_read_is_bounded_in_time(world):
    async def stall(connection):
        connection.writer.write(b"354 go\r\n")
        await asyncio.sleep(30)

    peer = await world.peer(actions={"DATA": stall}, extensions=())
    content = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 2_000_000
    outcome = await one(world.transport(peer), content)
    assert (outcome.kind, outcome.phase, outcome.status) == ("deferred", "content", "4.4.2")


async def test_the_text_of_a_reply_is_one_printable_line(world):
    peer = await world.peer(
        actions={"RCPT": b"550-5.1.1 caf\xc3\xa9 \xff\xfe\x1b[31m\r\n550-\x00\x07\xe2\x80\xae\r\n"
                         b"550 end" + b" x" * 1900 + b"\r\n"}
    )  # fmt: skip
    outcome = await one(world.transport(peer))
    assert outcome.status == "5.1.1"
    assert outcome.text.startswith("5.1.1 café ")
    assert outcome.text.isprintable()
    assert len(outcome.text.encode()) <= REPLY_TEXT_MAX_BYTES


@pytest.mark.parametrize(
    ("reply", "status"),
    [("550 no such user", "5.0.0"), ("550 4.1.1 liar", "5.0.0"), ("550 5.7.26 long", "5.7.26"),
     ("550", "5.0.0"), ("550 5.1.1", "5.1.1"), ("550 5.1.1234 x", "5.0.0")],
)  # fmt: skip
async def test_the_status_follows_the_code_where_they_differ(world, reply, status):
    outcome = await one(world.transport(await world.peer(actions={"RCPT": reply})))
    assert (outcome.kind, outcome.status) == ("failed", status)


async def test_lines_of_a_reply_may_end_with_lf(world):
    peer = await world.peer(actions={"GREETING": b"220-a\n220 b\n"})
    assert (await one(world.transport(peer))).kind == "relayed"


@pytest.mark.parametrize("step", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA"])
async def test_a_reply_without_a_command_is_not_taken_for_another(world, step):
    """A peer that is one reply ahead would seem to take what it refuses."""
    defaults = {"GREETING": b"220 x\r\n", "EHLO": b"250 x\r\n", "DATA": b"354 go\r\n"}
    ahead = defaults.get(step, b"250 ok\r\n") + b"250 ok\r\n"
    peer = await world.peer(actions={step: ahead, "DOT": "554 5.7.1 spam"}, extensions=())
    outcome = await one(world.transport(peer))
    assert outcome.kind == "deferred"
    assert outcome.status == "4.5.0"


async def test_a_refusal_amid_the_content_is_heard(world):
    async def refuse(connection):
        connection.writer.write(b"552 5.3.4 too much\r\n")
        await connection.writer.drain()
        await asyncio.sleep(0.3)
        connection.writer.transport.abort()

    peer = await world.peer(actions={"CONTENT": refuse}, extensions=())
    content = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 2_000_000
    outcome = await one(world.transport(peer), content)
    assert (outcome.kind, outcome.phase, outcome.code) == ("failed", "content", 552)
    assert outcome.status == "5.3.4"


async def test_a_refusal_of_mail_is_the_outcome_of_each_recipient(world):
    peer = await world.peer(actions={"MAIL": "553 5.1.8 who?"})
    outcomes = await world.transport(peer).send(
        transmission(b"a: b\r\n\r\nx\r\n", "a@there.test", "b@there.test")
    )
    assert [(each.code, each.phase) for each in outcomes] == [(553, "mail")] * 2


async def test_a_peer_that_offers_pipelining_and_forgets_commands_is_bounded(world):
    async def forget(connection):
        connection.writer.write(b"250 2.1.0 sender\r\n")
        await connection.reader.read(1 << 16)

    peer = await world.peer(actions={"MAIL": forget})
    outcome = await one(world.transport(peer))
    assert (outcome.kind, outcome.phase, outcome.status) == ("deferred", "rcpt", "4.4.2")


async def test_keywords_without_end_are_bounded(world):
    peer = await world.peer(extensions=(*(f"X-{n} y" for n in range(4000)), "SIZE", "DSN x"))
    assert (await one(world.transport(peer))).kind == "relayed"
    peer.extensions = ("SIZE " + "9" * 3000, "SIZE -1", "PIPELINING=1", "AUTH=", "8BITMIME\t x")
    assert (await one(world.transport(peer))).kind == "relayed"
