"""RETR and TOP: sizes, slow readers, contents that are gone or fail half-way."""

import pytest

from mail.errors import StoreUnavailable
from schemas.events.mailbox_commands import ChangeMessages, ExpungeMessages
from tests.support.waiting import until

HEADER = b"Subject: hello\r\n\r\n"


async def raw(client, command: str) -> bytes:
    """The message that the reply to `command` carries, with the dots of the wire removed."""
    lines = await client.ask_lines(command)
    return b"".join(line.removeprefix(".").encode() + b"\r\n" for line in lines)


async def take_away(rig, message_id: str) -> None:
    """Another session expunges the message."""
    command = ExpungeMessages(
        command_id="c", user_id="alice", domain_id="d", message_ids=(message_id,), at_ms=1
    )
    await rig.world.mailboxes.publish(command)


@pytest.mark.parametrize(
    "body",
    [b"", b".\r\n", b"..\r\n.", b".a\r\n" * 40_000, b"a" * 70_000 + b"\r\n.\r\n", "é\r\n".encode()],
    ids=["empty", "dot", "no-line-end", "long", "piece-and-dot", "utf-8"],
)
async def test_the_announced_size_is_that_of_the_message(rig, body):
    await rig.serve(piece_bytes=4096)
    content = HEADER + body
    await rig.deliver(content)
    client = await rig.signed()
    assert await client.ask("LIST 1") == f"+OK 1 {len(content)}"
    message = await raw(client, "RETR 1")
    assert message.removesuffix(b"\r\n" if not content.endswith(b"\r\n") else b"") == content
    assert await raw(client, "TOP 1 0") == HEADER
    assert await client.ask("NOOP") == "+OK"


async def test_bare_lf_is_sent_as_crlf(rig):
    await rig.serve()
    await rig.deliver(b"Subject: x\n\nbody\n.\n")
    client = await rig.signed()
    assert await raw(client, "RETR 1") == b"Subject: x\r\n\r\nbody\r\n.\r\n"


async def test_a_reader_that_stops_holds_back_the_server(rig):
    await rig.serve(piece_bytes=4096, send_s=0.2)
    await rig.deliver(HEADER + b"x" * 70 + b"\r\n" * 8_000_000)
    client = await rig.signed()
    await client.send(b"RETR 1\r\n")
    assert (await client.line()).startswith("+OK")
    client.writer.transport.pause_reading()
    await until(lambda: rig.server.connections.open == 0)
    assert 0 < rig.server.stats.sent_bytes_total < 16_000_000
    assert rig.server.stats.sent_messages_total == 0


async def test_a_message_that_another_session_deletes_is_gone(rig):
    await rig.serve()
    first, second = await rig.deliver(HEADER), await rig.deliver(HEADER + b"2\r\n")
    client = await rig.signed()
    await take_away(rig, first.message_id)
    gone = "-ERR the message was deleted by another session"
    assert await client.ask("RETR 1") == gone
    assert await client.ask("TOP 1 1") == gone
    assert await raw(client, "RETR 2") == HEADER + b"2\r\n"
    assert await client.ask("DELE 1") == "+OK message 1 marked as deleted"
    assert await client.ask("DELE 2") == "+OK message 2 marked as deleted"
    assert await client.ask("QUIT") == "+OK bye"
    assert (await rig.inbox(), second.destroyed) == ([], False)


async def test_the_view_is_that_of_the_sign_in(rig):
    await rig.serve()
    marked = await rig.deliver(HEADER)
    await rig.deliver(HEADER + b"2\r\n")
    await rig.world.mailboxes.publish(
        ChangeMessages(
            command_id="c", user_id="alice", domain_id="d", message_ids=(marked.message_id,),
            mark_deleted_in=("inbox",), at_ms=1,
        )
    )  # fmt: skip
    client = await rig.signed()
    await rig.deliver(HEADER + b"late\r\n")
    await rig.deliver(HEADER + b"elsewhere\r\n", folder_id="archive")
    assert await client.ask("STAT") == f"+OK 1 {len(HEADER) + 3}"
    assert await raw(client, "RETR 1") == HEADER + b"2\r\n"


async def test_a_content_that_cannot_be_read_is_temporary_at_first_and_an_end_later(rig):
    await rig.serve(piece_bytes=4096)
    await rig.deliver(HEADER + b"x\r\n" * 5_000)
    client = await rig.signed()
    reads: list[str] = []

    def fail(step: str) -> None:
        reads.append(step)
        if len(reads) != 2:
            raise StoreUnavailable("contents")

    rig.world.contents.fault = fail
    assert await client.ask("RETR 1") == "-ERR [SYS/TEMP] not available now, try again later"
    assert (await client.ask("RETR 1")).startswith("+OK")
    with pytest.raises((ConnectionError, AssertionError)):  # never the final dot
        await client.lines()


async def test_a_client_that_leaves_amid_a_message_leaves_nothing_behind(rig):
    await rig.serve(piece_bytes=4096)
    await rig.deliver(HEADER + b"x" * 70 + b"\r\n" * 4_000_000)
    client = await rig.signed()
    await client.send(b"DELE 1\r\nRSET\r\nRETR 1\r\n")
    await client.line()
    client.writer.transport.abort()
    await until(lambda: rig.server.connections.open == 0)
    assert (await (await rig.connect()).sign_in()).startswith("+OK")
