"""STLS (RFC 2595 §4), TLS from the first byte (RFC 8314 §3.2), and Python's client on both."""

import asyncio
import contextlib
import poplib
import ssl

import pytest

from edge.self_signed_certificate import ensure_own
from edge.tls_certificate import context
from tests.pop3.conftest import ALICE, PASSWORD
from tests.support.waiting import until

MAIL = b"Subject: hello\r\n\r\n.Hello\r\n"


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.fixture
def own(tmp_path) -> ssl.SSLContext:
    return context(ensure_own(tmp_path, "pop.example"))


async def encrypt(client) -> None:
    """A client after the reply to STLS."""
    transport = client.writer.transport
    encrypted = await asyncio.get_running_loop().start_tls(
        transport, transport.get_protocol(), trusting(), server_hostname="x"
    )
    client.reader._transport = encrypted
    client.writer._transport = encrypted


async def test_commands_pipelined_before_the_handshake_are_dropped(rig, own):
    await rig.serve(tls=own)
    client = await rig.connect()
    await client.ask(f"USER {ALICE}")
    await client.send(b"STLS\r\nNOOP\r\nUSER eve@postriver.test\r\n")
    assert await client.line() == "+OK begin TLS negotiation"
    await encrypt(client)
    assert await client.ask(f"PASS {PASSWORD}") == "-ERR USER comes before PASS"
    assert await client.ask("STLS") == "-ERR TLS is not available or already in use"
    assert "STLS" not in await client.ask_lines("CAPA")
    assert (await client.sign_in()).startswith("+OK")
    assert rig.server.stats.tls_total == 1


async def test_no_certificate_no_stls(rig):
    await rig.serve()
    client = await rig.connect()
    assert await client.ask("STLS") == "-ERR TLS is not available or already in use"


async def test_a_handshake_that_fails_ends_the_connection(rig, own):
    await rig.serve(tls=own)
    client = await rig.connect()
    assert (await client.ask("STLS")).startswith("+OK")
    await client.send(b"this is no handshake\r\n" * 10)
    with contextlib.suppress(ConnectionError):
        await client.reader.read()  # an alert of TLS
    await until(lambda: rig.server.connections.open == 0)
    assert (await rig.signed()) is not None


@pytest.mark.parametrize("way", ["clear", "stls", "tls"])
async def test_poplib(rig, own, way):
    server = await rig.serve(tls=own)
    big = MAIL + b"x" * 70 + b"\r\n.\r\n" * 100_000
    rows = [await rig.deliver(MAIL), await rig.deliver(big)]

    def fetch() -> list[bytes]:
        if way == "tls":
            client = poplib.POP3_SSL("127.0.0.1", server.tls_port, context=trusting(), timeout=20)
        else:
            client = poplib.POP3("127.0.0.1", server.port, timeout=20)
        if way == "stls":
            client.stls(context=trusting())
        assert ("STLS" in client.capa()) is (way == "clear")
        client.utf8()
        client.user(ALICE)
        client.pass_(PASSWORD)
        assert client.stat() == (2, len(MAIL) + len(big))
        assert client.list()[1] == [b"1 %d" % len(MAIL), b"2 %d" % len(big)]
        assert client.uidl()[1] == [b"%d %s" % (n, row.message_id.encode())
                                    for n, row in enumerate(rows, 1)]  # fmt: skip
        assert client.top(1, 0)[1] == [b"Subject: hello", b""]
        messages = [b"\r\n".join([*client.retr(n)[1], b""]) for n in (1, 2)]
        client.dele(2)
        client.quit()
        return messages

    assert await asyncio.to_thread(fetch) == [MAIL, big]
    assert await rig.inbox() == [rows[0].message_id]
