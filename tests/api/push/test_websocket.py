"""Push: order, no repeats, isolation of users; and sockets that the server closes."""

import asyncio
import base64
import os
import socket
from dataclasses import replace

import aiohttp
import msgspec
import pytest

from api.push.event_stream import THREADS_MAX
from api.push_connections import SendQueue
from mail.errors import StoreUnavailable
from mail.ids import new_id
from mail.mailbox.bulk_commands import READ_FACTOR
from schemas.events.mailbox_commands import MarkAllRead
from schemas.events.mailbox_events import CommandAnswered, MailboxChanged, MessageChange, Position
from schemas.mailbox import SEEN, FolderCounts
from tests.support.edge_world import PLAIN, World
from tests.support.waiting import until

Socket = aiohttp.ClientWebSocketResponse


async def frame(ws: Socket) -> dict:
    return await ws.receive_json(timeout=5)


async def close_code(ws: Socket) -> int | None:
    """Skip frames until the server closes; return the close code."""
    while not ws.closed:
        await ws.receive(timeout=10)
    return ws.close_code


async def refusal(client: aiohttp.ClientSession) -> int:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect("/v1/push")
    return refused.value.status


async def test_a_frame_tells_the_change_and_the_counts(world: World) -> None:
    client = await world.signed()
    ws = await client.ws_connect("/v1/push")
    row = await world.deliver(PLAIN % b"one")
    created = await frame(ws)
    async with client.get("/v1/folders/inbox/messages") as response:
        (summary,) = (await response.json())["messages"]
    assert created == {
        "type": "change",
        "state": "1-1",
        "seq": 1,
        "change": "created",
        "message": summary,
        "folders": [{"id": "inbox", "total": 1, "unread": 1}],
    }
    async with client.patch(f"/v1/messages/{row.message_id}", json={"unread": False}) as response:
        answer = await response.json()
    updated = await frame(ws)
    assert (updated["seq"], updated["change"], updated["message"]) == (2, "updated", answer)
    assert updated["folders"] == [{"id": "inbox", "total": 1, "unread": 0}]


async def test_every_seq_comes_once_in_order_though_the_feed_repeats_itself(world: World) -> None:
    ws = await (await world.signed()).ws_connect("/v1/push")
    entries = [(await world.place(PLAIN % b"n", name="alice"))[1] for _ in range(30)]
    for at in range(0, 30, 10):
        world.feed.emit(*entries[max(0, at - 15) : at + 10])
        await asyncio.sleep(0.01)
    world.feed.emit(*entries)
    await ws.send_json({"type": "ping"})
    seqs = []
    while (received := await frame(ws))["type"] == "change":
        seqs.append(received["seq"])
    assert seqs == list(range(1, 31))


async def test_nobody_hears_of_anothers_mail(world: World) -> None:
    ws = await (await world.signed("bob")).ws_connect("/v1/push")
    await world.deliver(name="alice")
    mine = await world.deliver(name="bob")
    assert (await frame(ws))["message"]["id"] == mine.message_id


GONE = "11111111-1111-5111-8111-111111111111"


async def test_a_step_that_changed_nothing_is_passed_over(world: World) -> None:
    """A chunk of a bulk command that found only messages with the requested state."""
    rows = [await world.deliver(keywords=(SEEN,)) for _ in range(READ_FACTOR)]
    rows.append(await world.deliver())
    world.mailboxes._ports = replace(world.mailboxes._ports, chunk_max=1)
    live = await (await world.signed()).ws_connect("/v1/push")
    order = MarkAllRead(
        command_id=new_id(), user_id="alice", domain_id="d", folder_id="inbox", at_ms=5
    )
    await world.mailboxes.publish(order)
    seq = (await world.store.load("alice")).seq
    back = await (await world.signed()).ws_connect(f"/v1/push?since={len(rows)}")
    for ws in (live, back):
        received = await frame(ws)
        assert (received["seq"], received["message"]["id"]) == (seq, rows[-1].message_id)
        assert received["state"] == world.config.state(seq)
    assert seq == len(rows) + 2, "the first chunk is a step without changes"


async def test_of_a_destroyed_message_the_id_is_left(world: World) -> None:
    ws = await (await world.signed()).ws_connect("/v1/push")
    gone = MailboxChanged(
        user_id="alice",
        domain_id="d",
        seq=9,
        command_id=new_id(),
        position=Position("e", 0, 9),
        changes=(MessageChange(change="destroyed", message_id=GONE),),
        folders=(FolderCounts("inbox"),),
        at_ms=0,
    )
    answered = CommandAnswered(user_id="alice", domain_id="d", command_id="c", outcome="unchanged")
    world.feed.emit(answered, gone)
    received = await frame(ws)
    assert (received["change"], received["message"]) == ("destroyed", {"id": GONE})


async def test_a_token_may_come_in_the_first_frame(world: World) -> None:
    ws = await world.client().ws_connect("/v1/push")
    await ws.send_json({"token": await world.token()})
    await ws.send_json({"type": "ping"})
    assert await frame(ws) == {"type": "pong"}
    row = await world.deliver()
    assert (await frame(ws))["message"]["id"] == row.message_id


@pytest.mark.parametrize(
    "first", ['{"token": "' + "x" * 43 + '"}', '{"token": 1}', "nonsense", '{"type": "ping"}', "[]"]
)
async def test_a_bad_first_frame_ends_it(world: World, first: str) -> None:
    ws = await world.client().ws_connect("/v1/push")
    await ws.send_str(first)
    assert await close_code(ws) == 4401


async def test_a_token_that_does_not_come_is_not_waited_for(make_world) -> None:
    world = await make_world(socket_token_s=0.05, sockets_unsigned=1)
    ws = await world.client().ws_connect("/v1/push")
    assert await refusal(world.client()) == 503
    assert await close_code(ws) == 4401
    await until(lambda: world.context.push_connections._unsigned.total() == 0)


@pytest.mark.parametrize(
    ("origin", "taken"),
    [("{own}", True), ("http://evil.test", False), ("null", False), (None, False)],
)
async def test_a_cookie_opens_a_socket_for_our_own_page_only(world, origin, taken) -> None:
    headers = {"Cookie": f"postriver_0={await world.token()}"}
    if origin:
        headers["Origin"] = origin.format(own=world.url)
    client = world.client(**headers)
    if not taken:
        assert await refusal(client) == 403
        return
    ws = await client.ws_connect("/v1/push")
    await world.deliver()
    assert (await frame(ws))["seq"] == 1


async def test_bad_credentials_do_not_open_a_socket(world: World) -> None:
    assert await refusal(world.client("x" * 43)) == 401
    assert await refusal(world.client(Cookie="postriver_0=bad", Origin=world.url)) == 401
    assert world.feed.subscribers("alice") == 0


async def test_signing_out_closes_the_sockets_of_that_sign_in_alone(world: World) -> None:
    one, other = await world.signed(), await world.signed()
    mine, stays = await one.ws_connect("/v1/push"), await other.ws_connect("/v1/push")
    async with one.post("/v1/logout") as response:
        assert response.status == 204
    assert await close_code(mine) == 4401
    await world.deliver()
    assert (await frame(stays))["seq"] == 1
    await until(lambda: world.feed.subscribers("alice") == 1)


async def test_a_disabled_users_sockets_are_closed(make_world) -> None:
    world = await make_world(session_check_s=0.05)
    ws = await (await world.signed()).ws_connect("/v1/push")
    await world.directory.set_disabled("alice", disabled=True)
    assert await close_code(ws) == 4401


async def test_a_user_has_so_many_sockets_and_gets_room_back(make_world) -> None:
    world = await make_world(sockets_per_user=2)
    client = await world.signed()
    first = await client.ws_connect("/v1/push")
    second = await client.ws_connect("/v1/push")
    assert await refusal(client) == 429
    by_frame = await world.client().ws_connect("/v1/push")
    await by_frame.send_json({"token": await world.token()})
    assert await close_code(by_frame) == 1013
    bobs = await (await world.signed("bob")).ws_connect("/v1/push")
    await first.close()
    await until(lambda: world.context.metrics.sockets == 2)
    third = await client.ws_connect("/v1/push")
    assert not any(ws.closed for ws in (second, bobs, third))


@pytest.mark.parametrize(
    ("message", "code"), [("x" * 5000, 1009), ('{"type":"token"}', 1008), ("}", 1008)]
)
async def test_a_client_has_little_to_say(world: World, message: str, code: int) -> None:
    ws = await (await world.signed()).ws_connect("/v1/push")
    await ws.send_str(message)
    assert await close_code(ws) == code
    await until(lambda: world.feed.subscribers("alice") == 0)


async def test_a_store_that_is_away_ends_a_socket_rather_than_leave_a_gap(world: World) -> None:
    ws = await (await world.signed()).ws_connect("/v1/push")
    _, entry = await world.place(PLAIN % b"n", name="alice")

    def away(step: str) -> None:
        raise StoreUnavailable("sqlite")

    world.store.fault = away
    world.feed.emit(entry)
    assert await close_code(ws) == 1013
    world.store.fault = lambda step: None


async def test_steps_that_the_feed_skipped_come_once_from_the_journal(world: World) -> None:
    ws = await (await world.signed()).ws_connect("/v1/push")
    entries = [(await world.place(PLAIN % b"n", name="alice"))[1] for _ in range(6)]
    world.feed.emit(entries[0], entries[3])
    assert [(await frame(ws))["seq"] for _ in range(6)] == [1, 2, 3, 4, 5, 6]
    world.feed.emit(entries[4], entries[5])  # already sent from the journal
    await ws.send_json({"type": "ping"})
    assert await frame(ws) == {"type": "pong"}
    await world.deliver()
    assert (await frame(ws))["seq"] == 7


async def test_a_journal_behind_the_feed_is_waited_for(make_world) -> None:
    world = await make_world(socket_behind_s=10.0)
    ws = await (await world.signed()).ws_connect("/v1/push")
    row = await world.deliver()
    assert (await frame(ws))["seq"] == 1
    (first,) = await world.store.journal("alice", since_seq=0, limit=9)
    world.feed.emit(msgspec.structs.replace(first, seq=3, command_id=new_id()))
    await asyncio.sleep(0.1)
    await world.place(PLAIN % b"second", name="alice")
    frames = [await frame(ws) for _ in range(2)]
    assert [received["seq"] for received in frames] == [2, 3]
    assert frames[1]["message"]["id"] == row.message_id


async def test_a_journal_that_stays_behind_the_feed_ends_the_socket(make_world) -> None:
    world = await make_world(socket_behind_s=0.1)
    ws = await (await world.signed()).ws_connect("/v1/push")
    await world.deliver()
    assert (await frame(ws))["seq"] == 1
    (first,) = await world.store.journal("alice", since_seq=0, limit=9)
    world.feed.emit(msgspec.structs.replace(first, seq=3))
    closed = await ws.receive(timeout=10)
    assert (closed.type, ws.close_code) == (aiohttp.WSMsgType.CLOSE, 1013), "without a frame"


async def test_what_waits_for_a_socket_is_bounded_in_bytes_too() -> None:
    change = MessageChange(
        change="updated", message_id=GONE, keywords=("k" * 255,) * 100, places={"inbox": 1}
    )

    def step(seq: int, changes: int) -> MailboxChanged:
        return MailboxChanged(
            user_id="alice", domain_id="d", seq=seq, command_id=str(seq),
            position=Position("e", 0, seq), changes=(change,) * changes, folders=(), at_ms=0,
        )  # fmt: skip

    queue = SendQueue(256, 1024 * 1024)
    queue.sink(step(1, 100))  # 2.5 MB: accepted into an empty queue
    assert not queue.ending.done()
    queue.sink(step(2, 1))
    assert queue.ending.result()[0] == 1013
    queue = SendQueue(256, 1024 * 1024)
    for seq in range(1, 1000):  # taken at once, so they do not add up
        queue.sink(step(seq, 1))
        assert (await queue.take()).seq == seq
    assert not queue.ending.done()


def slow_socket(world: World, token: str) -> socket.socket:
    """Complete the handshake, then read nothing."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.settimeout(10)
    raw.connect(("127.0.0.1", world.port))
    key = base64.b64encode(os.urandom(16)).decode()
    raw.sendall(
        f"GET /v1/push HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        f"Authorization: Bearer {token}\r\n\r\n".encode()
    )
    return raw


async def test_a_slow_socket_is_closed_and_holds_up_nobody(make_world) -> None:
    world = await make_world(socket_queue=32, socket_send_buffer_bytes=4096, socket_goodbye_s=0.2)
    ws = await (await world.signed()).ws_connect("/v1/push")
    raw = slow_socket(world, await world.token())
    try:
        await until(lambda: world.context.metrics.sockets == 2)
        connections = len(world.runner.server.connections)
        sent = 0
        while world.context.metrics.sockets_closed_slow == 0:
            assert sent < 2000
            await world.deliver(PLAIN % (b"s" * 900))
            sent += 1
            assert (await frame(ws))["seq"] == sent
        await until(lambda: world.context.metrics.sockets == 1)
        await until(lambda: world.feed.subscribers("alice") == 1)
        await until(lambda: len(world.runner.server.connections) == connections - 1)
        await world.deliver()
        assert (await frame(ws))["seq"] == sent + 1
    finally:
        raw.close()


async def test_when_the_edge_goes_its_sockets_are_received(make_world) -> None:
    world = await make_world()
    ws = await (await world.signed()).ws_connect("/v1/push")
    stopping = asyncio.create_task(world.runner.cleanup())
    assert await close_code(ws) == 1001
    await stopping


async def test_a_frame_of_the_conversation_follows_when_asked_for(world: World) -> None:
    """As the lists of conversations have it; lists that it left, or that it never had, are not."""
    client = await world.signed()
    ws = await client.ws_connect("/v1/push?threads=true")
    row = await world.deliver(PLAIN % b"one")
    change, thread = await frame(ws), await frame(ws)
    assert (change["type"], change["seq"], change["state"]) == ("change", 1, None)
    async with client.get("/v1/folders/inbox/threads") as response:
        (listed,) = (await response.json())["threads"]
    assert thread == {
        "type": "thread",
        "state": "1-1",
        "seq": 1,
        "id": row.thread_id,
        "lists": [
            {"folder_id": None, "thread": listed},
            {"folder_id": "inbox", "thread": listed},
        ],
    }
    path = f"/v1/messages/{row.message_id}"
    async with client.patch(path, json={"folder_ids": ["junk"]}) as response:
        assert response.status == 200
    assert (await frame(ws))["state"] is None
    moved = await frame(ws)
    assert [one["folder_id"] for one in moved["lists"]] == ["junk"]
    async with client.delete(path) as response:
        assert response.status == 204
    assert (await frame(ws))["change"] == "destroyed"
    gone = await frame(ws)
    assert (gone["id"], gone["lists"], gone["state"]) == (row.thread_id, [], "1-3")
    late = await client.ws_connect("/v1/push?since=0&threads=true")
    types = [(await frame(late))["type"] for _ in range(7)]
    assert types == [*["change", "thread"] * 3, "live"]
    async with client.get("/v1/push?threads=perhaps") as response:
        assert (await response.json())["code"] == "bad_threads"


async def test_a_step_of_many_conversations_has_no_frames_of_them(world: World) -> None:
    client = await world.signed()
    ids = [(await world.deliver(PLAIN % b"n")).message_id for _ in range(THREADS_MAX + 1)]
    ws = await client.ws_connect("/v1/push?threads=true")
    for some, unread, types in (
        (ids, False, ["change"] * len(ids)),
        (ids[1:], True, ["change"] * THREADS_MAX + ["thread"] * THREADS_MAX),
    ):
        async with client.patch("/v1/messages", json={"ids": some, "unread": unread}) as response:
            assert response.status == 200
        frames = [await frame(ws) for _ in types]
        assert [one["type"] for one in frames] == types
        assert [one["state"] is None for one in frames] == [True] * (len(types) - 1) + [False]
