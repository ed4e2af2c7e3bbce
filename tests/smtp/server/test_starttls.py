"""STARTTLS (RFC 3207): certificate, handshake, and the state that it resets."""

import asyncio
import smtplib
import ssl

from edge.self_signed_certificate import ensure_own
from edge.tls_certificate import context
from tests.support.waiting import until


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def encrypt(client) -> None:
    """A client after the 220 of STARTTLS."""
    loop = asyncio.get_running_loop()
    transport = client.writer.transport
    protocol = transport.get_protocol()
    encrypted = await loop.start_tls(transport, protocol, trusting(), server_hostname="x")
    client.reader._transport = encrypted
    client.writer._transport = encrypted


def own_context(folder) -> ssl.SSLContext:
    return context(ensure_own(folder, "mx.example"))


async def test_a_mail_over_tls(rig, tmp_path):
    server = await rig.serve(tls=own_context(tmp_path))
    big = b"x" * 70 + b"\r\n"

    def deliver() -> tuple[bool, bool, int]:
        with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
            client.ehlo()
            before = client.has_extn("starttls")
            client.starttls(context=trusting())
            client.ehlo()
            after = client.has_extn("starttls")
            client.sendmail("s@r.example", ["alice@postriver.test"], big * 20_000)
            return before, after, client.docmd("STARTTLS")[0]

    assert await asyncio.to_thread(deliver) == (True, False, 503)
    (mail,) = rig.mails()
    assert mail.envelope.protocol == "ESMTPS"
    assert await rig.bytes_of(mail) == big * 20_000
    assert server.stats.tls_total == 1


async def test_what_was_pipelined_in_clear_is_forgotten(rig, tmp_path):
    await rig.serve(tls=own_context(tmp_path))
    client = await rig.connect()
    await client.greet()
    await client.ask("MAIL FROM:<evil@r.example>")
    await client.send(b"STARTTLS\r\nRSET\r\nNOOP\r\nMAIL FROM:<evil@r.example>\r\n")
    assert (await client.reply()).startswith("220 2.0.0")
    await encrypt(client)
    assert (await client.ask("VRFY x")).startswith("252")  # the first answer is to this
    assert (await client.ask("MAIL FROM:<>")).startswith("503 5.5.1")  # the greeting is reset
    await client.greet()
    assert (await client.ask("MAIL FROM:<>")).startswith("250")  # and the transaction too


async def test_a_flood_before_the_handshake(rig, tmp_path):
    await rig.serve(tls=own_context(tmp_path), command_idle_s=5)
    client = await rig.connect()
    await client.send(b"STARTTLS\r\n" + b"NOOP\r\n" * 2000)  # reading pauses, and must go on
    assert (await client.reply()).startswith("220 2.0.0")
    await encrypt(client)
    await client.greet()


async def test_a_failed_handshake_ends_the_connection_alone(rig, tmp_path):
    server = await rig.serve(tls=own_context(tmp_path))
    client = await rig.connect()
    assert (await client.ask("STARTTLS")).startswith("220")
    await client.send(b"this is no handshake\r\n" * 10)
    await until(lambda: server.connections.open == 0)
    await rig.connect()


async def test_a_handshake_that_does_not_come(rig, tmp_path):
    server = await rig.serve(tls=own_context(tmp_path), tls_handshake_s=0.3)
    client = await rig.connect()
    assert (await client.ask("STARTTLS")).startswith("220")
    await until(lambda: server.connections.open == 0)


async def test_stop_and_idle_are_told_over_tls_too(rig, tmp_path):
    server = await rig.serve(tls=own_context(tmp_path))
    client = await rig.connect()
    await client.ask("STARTTLS")
    await encrypt(client)
    await client.greet()
    stopping = asyncio.create_task(server.stop())
    assert (await client.reply()).startswith("421 4.3.2")
    assert await client.reply() == "closed"
    await stopping
