"""Limits of size, time and number, and the stop of the server."""

import asyncio

import pytest

from edge.trusted_networks import Networks
from tests.support.waiting import until

WIRE = b"Subject: x\r\n\r\nhello\r\n.\r\n"


async def test_a_mail_too_big_is_drained_and_refused(rig):
    await rig.serve(message_max_bytes=100_000)
    client = await rig.connect()
    line = b"y" * 98 + b"\r\n"
    assert (await client.send_mail(line * 1001 + b".\r\nNOOP\r\n")).startswith("552 5.3.4")
    assert (await client.reply()).startswith("250 2.0.0")
    assert (await client.send_mail(line * 1000 + b".\r\n")).startswith("250 2.0.0")
    assert await rig.bytes_of(rig.mails()[0]) == line * 1000


async def test_a_mail_absurdly_big_is_cut(rig):
    await rig.serve(message_max_bytes=100_000)
    client = await rig.connect()
    await client.begin()
    await client.send(b"y" * 98 + b"\r\n")
    client.writer.write((b"y" * 98 + b"\r\n") * 4000)
    assert (await client.reply()).startswith("421 4.3.0")
    assert await client.reply() == "closed"


async def test_long_lines(rig):
    await rig.serve()
    client = await rig.connect()
    line = b"z" * 1024 * 1024
    assert (await client.send_mail(line + b"\r\n.\r\n")).startswith("250 2.0.0")
    assert await rig.bytes_of(rig.mails()[0]) == line + b"\r\n"
    assert (await client.send_mail(line + b"z\r\n.\r\n")).startswith("500 5.5.2")


@pytest.mark.parametrize("ending", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n"])
async def test_a_smuggled_mail_is_refused_with_its_carrier(rig, ending):
    await rig.serve()
    client = await rig.connect()
    smuggled = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@postriver.test>\r\nDATA\r\nevil\r\n.\r\n"
    assert (await client.send_mail(b"hi" + ending + smuggled)).startswith("554 5.6.0")
    assert (await client.ask("NOOP")).startswith("250 2.0.0")  # and no reply came before it
    assert rig.mails() == []


async def test_too_many_connections(rig):
    server = await rig.serve(connections_max=5, connections_per_peer_max=3)
    clients = [await rig.connect() for _ in range(3)]
    fourth = await rig.dial()
    assert (await fourth.reply()).startswith("421 4.7.0")
    assert await fourth.reply() == "closed"
    assert (server.connections.refused_total, server.connections.open) == (1, 3)
    assert (await clients[0].ask("QUIT")).startswith("221")
    await until(lambda: server.connections.open == 2)
    await rig.connect()


async def test_too_many_mails_under_way(rig):
    await rig.serve(data_max=1)
    first, second = await rig.connect(), await rig.connect()
    await first.begin()
    await second.greet()
    await second.ask("MAIL FROM:<>")
    await second.ask("RCPT TO:<bob@postriver.test>")
    assert (await second.ask("DATA")).startswith("451 4.3.2")
    await first.send(WIRE)
    assert (await first.reply()).startswith("250")
    assert (await second.ask("DATA")).startswith("354")
    await second.send(WIRE)
    assert (await second.reply()).startswith("250")


async def test_too_much_memory_under_way(rig):
    server = await rig.serve(held_max_bytes=150_000, trusted=Networks.parse("127.0.0.0/8"))
    first, second = await rig.connect(), await rig.connect()
    await first.begin()
    line = b"y" * 98 + b"\r\n"
    await first.send(line * 1000)
    await until(lambda: server.stats.held_bytes > 90_000)
    assert (await second.send_mail(line * 1000 + b".\r\n")).startswith("451 4.3.2")
    await first.send(b".\r\n")
    assert (await first.reply()).startswith("250")
    assert (await second.send_mail(line * 1000 + b".\r\n")).startswith("250")
    assert server.stats.held_bytes == 0


async def test_an_idle_client_is_told_and_closed(rig):
    await rig.serve(command_idle_s=0.3)
    client = await rig.connect()
    assert (await client.reply()).startswith("421 4.4.2")
    assert await client.reply() == "closed"


async def test_single_letters_do_not_keep_a_connection(rig):
    server = await rig.serve(command_idle_s=0.5)
    client = await rig.connect()
    for _ in range(200):
        try:
            await client.send(b"x")
        except (OSError, RuntimeError):  # RuntimeError: uvloop, for a closed transport
            break
        if server.connections.open == 0:
            break
        await asyncio.sleep(0.05)
    assert server.connections.open == 0


async def test_a_mail_that_does_not_go_on(rig):
    server = await rig.serve(data_window_s=0.3)
    client = await rig.connect()
    await client.begin()
    await client.send(b"half\r\n")
    assert (await client.reply()).startswith("421 4.4.2")
    await until(lambda: server.connections.open == 0)
    assert server.stats.data_in_progress == 0


async def test_a_mail_that_goes_on_for_ever(rig):
    server = await rig.serve(data_total_s=0.6)
    client = await rig.connect()
    await client.begin()
    for _ in range(200):
        try:
            await client.send(b"drip\r\n")
        except (OSError, RuntimeError):  # RuntimeError: uvloop, for a closed transport
            break
        if server.connections.open == 0:
            break
        await asyncio.sleep(0.05)
    assert server.connections.open == 0
    assert rig.mails() == []


async def test_waiting_for_the_broker_is_not_idling(rig):
    await rig.serve(command_idle_s=0.2, data_window_s=0.2)
    rig.publisher.open.clear()
    client = await rig.connect()
    await client.begin()
    await client.send(WIRE)
    await asyncio.sleep(0.5)
    rig.publisher.open.set()
    assert (await client.reply()).startswith("250")


async def test_bad_commands_come_to_an_end(rig):
    await rig.serve(bad_commands_max=5)
    client = await rig.connect()
    await client.send(b"FNORD\r\n" * 50)
    got = [(await client.reply())[:3] for _ in range(7)]
    assert got == ["500"] * 6 + ["421"]
    assert await client.reply() == "closed"


async def test_unknown_recipients_are_not_bad_commands(rig):
    await rig.serve(bad_commands_max=2)
    client = await rig.connect()
    await client.greet()
    await client.ask("MAIL FROM:<>")
    for _ in range(10):
        assert (await client.ask("RCPT TO:<nobody@postriver.test>")).startswith("550 5.1.1")


async def test_talk_without_mail_comes_to_an_end_and_talk_between_mails_does_not(rig):
    await rig.serve(chatter_max=3)
    client = await rig.connect()
    for _ in range(3):
        assert (await client.send_mail(WIRE)).startswith("250")
        assert (await client.ask("RSET")).startswith("250")
    for _ in range(2):
        await client.ask("NOOP")
    assert (await client.ask("NOOP")).startswith("250")
    assert (await client.reply()).startswith("421 4.7.0")


async def test_a_browser_is_sent_away(rig):
    await rig.serve()
    client = await rig.connect()
    await client.send(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@b.example>\r\n")
    assert (await client.reply()).startswith("421 4.7.0")
    assert await client.reply() == "closed"


async def test_stop_says_421_and_lets_a_mail_under_way_end(rig):
    server = await rig.serve()
    idle, sending, waiting = [await rig.connect() for _ in range(3)]
    rig.publisher.open.clear()
    await waiting.begin()
    await waiting.send(WIRE)
    await sending.begin()
    await sending.send(b"half")
    await until(lambda: rig.publisher.asked == 1)
    stopping = asyncio.create_task(server.stop())
    assert (await idle.reply()).startswith("421 4.3.2")
    assert await idle.reply() == "closed"
    await sending.send(b" and half\r\n.\r\n")
    await until(lambda: rig.publisher.asked == 2)
    rig.publisher.open.set()
    for client in (sending, waiting):
        assert (await client.reply()).startswith("250 2.0.0")
        assert (await client.reply()).startswith("421 4.3.2")
        assert await client.reply() == "closed"
    await stopping
    assert len(rig.mails()) == 2


async def test_stop_does_not_wait_for_ever(rig):
    server = await rig.serve(stop_grace_s=0.3)
    port = server.port
    client = await rig.connect()
    await client.begin()
    await client.send(b"half")
    await until(lambda: server.stats.data_in_progress == 1)
    await server.stop()
    assert (await client.reply()).startswith("421 4.3.2")
    assert rig.mails() == []
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_client_that_reads_nothing_is_closed(rig):
    server = await rig.serve(command_idle_s=0.5, chatter_max=10**9)
    client = await rig.connect()
    client.reader._limit = 1
    client.writer.transport.pause_reading()
    client.writer.write(b"HELP\r\n" * 300_000)
    await until(lambda: server.connections.open == 0, within_s=20)
