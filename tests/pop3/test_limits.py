"""Limits of one connection and of all connections; clients that do not speak POP3."""

import pytest

from edge.trusted_networks import Networks
from tests.pop3.conftest import ALICE, BOB, HOSTNAME, PASSWORD
from tests.support.waiting import until

LOCALHOST = Networks.parse("127.0.0.0/8")


async def until_closed(client) -> list[str]:
    """The lines up to the end of the connection."""
    lines = []
    while (line := await client.line()) != "closed":
        lines.append(line)
    return lines


async def test_too_many_bad_commands_end_the_connection(rig):
    await rig.serve(bad_commands_max=3)
    client = await rig.connect()
    await client.send(b"FOO\r\n" * 10_000)
    assert await until_closed(client) == [
        *["-ERR command not recognized"] * 4, "-ERR too many bad commands",
    ]  # fmt: skip


async def test_chatter_without_messages_ends_the_connection(rig):
    await rig.serve(chatter_max=3)
    await rig.deliver(b"Subject: x\r\n\r\n")
    client = await rig.signed()
    await client.ask("NOOP")
    await client.ask_lines("TOP 1 0")
    await client.send(b"NOOP\r\n" * 10_000)
    assert await until_closed(client) == [
        *["+OK"] * 4, "-ERR too many commands without a message",
    ]  # fmt: skip


@pytest.mark.parametrize("head", ["GET / HTTP/1.1", "POST / HTTP/1.1", "CONNECT a:1 HTTP/1.1"])
async def test_a_browser_is_sent_away(rig, head):
    await rig.serve()
    client = await rig.connect()
    await client.send(f"{head}\r\nHost: x\r\n\r\nUSER {ALICE}\r\nPASS {PASSWORD}\r\n".encode())
    assert await until_closed(client) == ["-ERR this is POP3"]


async def test_idle_connections_are_closed(rig):
    await rig.serve(idle_s=0.1)
    client = await rig.signed()
    assert await until_closed(client) == []


async def test_a_chatty_client_has_to_sign_in_at_last(rig):
    await rig.serve(sign_in_s=0.0)
    client = await rig.connect()
    assert await until_closed(client) == []


async def test_connections_per_peer_and_in_total(rig):
    await rig.serve(connections_max=3, connections_per_peer_max=2)
    full = "-ERR [SYS/TEMP] too many connections, try again later"
    first, _ = await rig.connect(), await rig.connect()
    assert await until_closed(await rig.dial()) == [full]
    await rig.connect("127.0.0.2")
    assert await until_closed(await rig.dial("127.0.0.3")) == [full]
    await first.ask("QUIT")
    await until(lambda: rig.server.connections.open == 2)
    await rig.connect("127.0.0.3")


async def test_memory_of_views_is_limited(rig):
    await rig.serve(messages_max=1)
    await rig.deliver(b"Subject: x\r\n\r\n")
    await rig.signed()
    await rig.deliver(b"Subject: x\r\n\r\n", name="bob")
    client = await rig.connect()
    assert await client.sign_in(BOB) == "-ERR [SYS/TEMP] not available now, try again later"


async def test_a_trusted_proxy_names_the_client(rig):
    await rig.serve(proxies=LOCALHOST)
    client = await rig.dial()
    await client.send(b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n")
    assert await client.line() == f"+OK {HOSTNAME} POP3 Postriver"
    needs_tls = "-ERR passwords are accepted over TLS only, use STLS"
    for command in (f"USER {ALICE}", f"PASS {PASSWORD}", "AUTH PLAIN"):
        assert await client.ask(command) == needs_tls
    assert "USER" not in await client.ask_lines("CAPA")


async def test_the_limit_of_a_peer_holds_behind_a_proxy(rig):
    await rig.serve(proxies=LOCALHOST, connections_per_peer_max=1)
    first, second = await rig.dial(), await rig.dial()
    await first.send(b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n")
    assert (await first.line()).startswith("+OK")
    await second.send(b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n")
    assert (await until_closed(second))[0].startswith("-ERR [SYS/TEMP] too many connections")


async def test_a_proxy_without_a_header_is_closed(rig):
    await rig.serve(proxies=LOCALHOST)
    client = await rig.dial()
    await client.send(b"USER alice@postriver.test\r\n")
    assert await until_closed(client) == []
    assert rig.server.stats.bad_proxy_headers_total == 1


async def test_passwords_in_clear_may_be_allowed(rig):
    await rig.serve(proxies=LOCALHOST, in_clear=True)
    client = await rig.dial()
    await client.send(b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n")
    await client.line()
    assert (await client.sign_in()).startswith("+OK")


async def test_a_stopping_server_closes_sessions(rig):
    server = await rig.serve()
    client = await rig.signed()
    await client.ask("DELE 1")
    await server.stop()
    assert await until_closed(client) == []
