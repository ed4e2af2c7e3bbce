"""Mail to the real servers of others: Postfix, Exim, and Postfix's smtp-sink with its faults."""

import asyncio
import contextlib

import pytest

from mail.ports.mail_transport import ForwardPath
from tests.contracts.mail_transport import transmission
from tests.smtp.client.conftest import HOST
from tests.smtp.client.test_transport import one
from tests.support import peer_servers
from tests.support.waiting import until

STARTS_MAX = 3
PATIENT = {  # no test here waits for a limit, and a busy machine is slow
    f"{what}_s": 60.0
    for what in (
        "connect", "greeting", "command", "tls_handshake", "data", "block", "content",
        "final_dot", "quit", "slot_wait",
    )
}  # fmt: skip
CONTENT = (
    b"From: a@here.test\r\nSubject: x\r\nDate: Sun, 29 Nov 2026 12:00:00 +0000\r\n"
    b"Message-ID: <1@here.test>\r\n\r\n.dot\r\n..two\r\n.\r\n"
) + b"0123456789abcdef.\r\n" * 120_000  # fmt: skip
BODY = CONTENT.split(b"\r\n\r\n", 1)[1].replace(b"\r\n", b"\n")
BOX = (ForwardPath(address="box@there.test"),)


@pytest.fixture(scope="module")
def installed():
    peer_servers.install()


@pytest.fixture(params=["postfix", "exim"])
def server(request, installed, world):
    world.certificate()
    pair = world.folder / HOST
    chain = world.folder / "chain.pem"
    chain.write_text((pair / "key.pem").read_text() + (pair / "cert.pem").read_text())
    with contextlib.ExitStack() as stack:
        yield started(stack, request.param, world.folder, chain)


def started(stack, name, folder, chain):
    """The server; Postfix's master sometimes ends at its start without a word, in any folder."""
    for attempt in range(STARTS_MAX):
        own = folder / f"{name}{attempt}"
        own.mkdir()
        try:
            return stack.enter_context(getattr(peer_servers, name)(own, chain))
        except AssertionError:
            if attempt == STARTS_MAX - 1:
                raise
    return None


@pytest.fixture
async def transport(world, server):
    peer = await world.peer()
    return world.transport(
        peer, port=server.port, ca_file=str(world.folder / HOST / "cert.pem"),
        tls_required=frozenset({"there.test"}), **PATIENT,
    )  # fmt: skip


async def test_a_mail_arrives_as_it_was_sent(server, transport):
    outcome = await one(transport, CONTENT, recipients=BOX)
    assert (outcome.kind, outcome.tls_verified) == ("relayed", True), (outcome, server.log())
    await until(server.mails)
    (mail,) = server.mails()
    assert mail.endswith(BODY)


async def test_recipients_have_their_own_outcomes(server, transport):
    names = ["no@there.test", "box@there.test", "later@there.test", "r1@there.test"]
    outcomes = await transport.send(transmission(CONTENT, *names))
    assert [each.kind for each in outcomes] == ["failed", "relayed", "deferred", "relayed"]
    assert [each.code // 100 for each in outcomes] == [5, 2, 4, 2]


async def test_many_recipients_and_mails_in_one_session(server, transport):
    """Postfix here takes 50 recipients in a transaction, and refuses others with 452."""
    names = [f"r{n}@there.test" for n in range(100)]
    for _ in range(3):
        outcomes = await transport.send(transmission(CONTENT[:300] + b"\r\n", *names))
        assert {each.kind for each in outcomes} == {"relayed"}, (outcomes, server.log())
    assert transport.stats.opened_total == 1


async def test_dsn_parameters_and_utf_8_are_taken(server, transport):
    recipient = ForwardPath(
        address="box@there.test", notify=("SUCCESS", "FAILURE"), orcpt="rfc822;b+x@there.test"
    )
    content = "Subject: Grüße\r\n\r\nhallo\r\n".encode()
    outcome = await one(
        transport, content, recipients=(recipient,), smtputf8=True, eight_bit=True, envid="id 1",
        ret="HDRS", reverse_path="grüße@here.test",
    )  # fmt: skip
    assert (outcome.kind, outcome.dsn_requested) == ("relayed", True), (outcome, server.log())


SINKS = [
    (["-f", "mail"], "failed", "mail"), (["-r", "mail"], "deferred", "mail"),
    (["-f", "rcpt"], "failed", "rcpt"), (["-r", "rcpt"], "deferred", "rcpt"),
    (["-f", "data"], "failed", "data"), (["-r", "."], "deferred", "final-dot"),
    (["-f", "."], "failed", "final-dot"), (["-q", "data"], "deferred", "data"),
    (["-q", "."], "deferred", "final-dot"), (["-Q", "rcpt"], "deferred", "rcpt"),
    (["-p"], "relayed", "final-dot"), (["-e"], "relayed", "final-dot"),
    (["-w", "1"], "relayed", "final-dot"), ([], "relayed", "final-dot"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "kind", "phase"), SINKS, ids=str)
async def test_a_sink_with_a_fault(installed, world, options, kind, phase):
    with peer_servers.sink(world.folder, *options) as sink:
        transport = world.transport(await world.peer(), port=sink.port, **PATIENT)
        outcome = await one(transport, CONTENT)
    assert (outcome.kind, outcome.phase) == (kind, phase)


async def test_many_mails_at_once(installed, world):
    with peer_servers.sink(world.folder) as sink:
        transport = world.transport(await world.peer(), port=sink.port, **PATIENT)
        outcomes = await asyncio.gather(*(one(transport, CONTENT[:4000]) for _ in range(300)))
    assert {each.kind for each in outcomes} == {"relayed"}
    assert transport.stats.opened_total <= 10
