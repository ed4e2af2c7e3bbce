"""Change feed: whole steps, truncation, snapshot, and sockets without gaps."""

import asyncio
import random
import resource
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from edge.sign_in.session_tokens import new_token, token_sha256
from mail.ids import new_id
from schemas.directory import Session, User
from schemas.events.mailbox_commands import (
    ChangeMessages,
    CreateFolder,
    DestroyMessages,
    EmptyFolder,
    TrashMessages,
)
from schemas.mailbox import SEEN
from tests.support.edge_world import PLAIN, World

FOREVER_MS = 2**50
SOCKETS, SOCKETS_A_USER = 2_000, 20


async def carry_out(world: World, kind: type, **fields: Any) -> None:
    command = kind(command_id=new_id(), user_id="alice", domain_id="d", at_ms=5, **fields)
    while command is not None:
        step = await world.mailboxes.carry_out(command)
        world.feed.emit(step)
        command = getattr(step, "follow_up", None)


async def changes(client: aiohttp.ClientSession, **params: int | str) -> dict[str, Any]:
    async with client.get("/v1/changes", params=params) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def all_changes(client: aiohttp.ClientSession, since: str, limit: int) -> list[dict]:
    listed: list[dict] = []
    while True:
        page = await changes(client, since=since, limit=limit)
        assert {change["seq"] for change in listed}.isdisjoint(
            change["seq"] for change in page["changes"]
        )
        listed += page["changes"]
        since = page["state"]
        if not page["more"]:
            assert page["seq"] == page["latest_seq"]
            return listed


async def status(client: aiohttp.ClientSession, path: str) -> tuple[int, dict[str, Any]]:
    async with client.get(path) as response:
        return response.status, await response.json()


def apply_changes(changes: list[dict], mailbox: dict[str, Any] | None = None) -> dict[str, Any]:
    """What a client derives about messages from these changes."""
    mailbox = dict(mailbox or {})
    for change in changes:
        id_ = change.get("message_id")
        if id_ and change["change"] == "destroyed":
            mailbox.pop(id_, None)
        elif id_:
            mailbox[id_] = (change["folder_ids"], change["keywords"], change["thread_id"])
    return mailbox


async def snapshot(client: aiohttp.ClientSession, limit: int, between=None) -> tuple[str, dict]:
    """Read the snapshot page by page and run `between` after each page."""
    messages, state, cursor = {}, None, ""
    while True:
        async with client.get(f"/v1/snapshot?limit={limit}{cursor}") as response:
            page = await response.json()
        assert state in (None, page["state"])
        assert (state is None) == bool(page["folders"])
        state = page["state"]
        for row in page["messages"]:
            messages[row["id"]] = (row["folder_ids"], row["keywords"], row["thread_id"])
        if page["next_cursor"] is None:
            return state, messages
        cursor = f"&cursor={page['next_cursor']}"
        if between is not None:
            await between()


@pytest.fixture
async def client(world: World) -> aiohttp.ClientSession:
    return await world.signed()


async def test_whole_steps_come_in_order_and_say_what_is_true_after_them(world, client) -> None:
    rows = [await world.deliver(PLAIN % b"%d" % number) for number in range(5)]
    ids = tuple(row.message_id for row in rows)
    await carry_out(world, CreateFolder, folder_id="f1", name="Work")
    await carry_out(world, ChangeMessages, message_ids=ids[:4], add_folder_ids=("f1",))
    await carry_out(world, ChangeMessages, message_ids=ids[1:], add_keywords=(SEEN,))
    await carry_out(world, TrashMessages, message_ids=ids[:2])
    await carry_out(world, DestroyMessages, message_ids=ids[:2], unchanged_since_seq=9)
    for limit in (1, 3, 500):
        listed = await all_changes(client, "0", limit)
        assert [change["seq"] for change in listed] == [
            1,
            2,
            3,
            4,
            5,
            6,
            *[7] * 4,
            *[8] * 4,
            9,
            9,
            10,
            10,
        ]
        gone = {"seq": 10, "change": "destroyed", "message_id": ids[1], "left": {"trash": 2}}
        gone = {"seq": 10, "change": "destroyed", "message_id": ids[1], "left": {"trash": 2}}
        assert listed[-1] == gone
    assert (await snapshot(client, 2))[1] == apply_changes(listed)
    bob = await world.signed("bob")
    assert await changes(bob) == {
        "changes": [], "state": "1-0", "seq": 0, "latest_seq": 0, "more": False
    }  # fmt: skip


@pytest.mark.parametrize(
    "since", ["-1", "x", "1e3", "", "9" * 16, "1-", "1-2-3", "1-2.3", "1--2", "1&since=2"]
)
async def test_a_seq_that_is_none_is_refused(client, since: str) -> None:
    assert (await status(client, f"/v1/changes?since={since}"))[0] == 400


async def test_beyond_the_horizon_a_snapshot_is_named(world, client) -> None:
    row = await world.deliver()
    while await world.store.fold("alice", before_ms=FOREVER_MS, to_seq=99):
        pass
    await world.deliver()
    for since in (0, 3):  # truncated; beyond the last seq
        code, problem = await status(client, f"/v1/changes?since={since}")
        assert (code, problem["code"]) == (410, "feed_gone")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(f"/v1/push?since={since}")
        assert refused.value.status == 410
    state, messages = await snapshot(client, 1)
    assert row.message_id in messages
    assert problem["snapshot"] == "/v1/snapshot"
    assert await all_changes(client, state, 1) == []
    ws = await world.client().ws_connect("/v1/push?since=0")
    await ws.send_json({"token": await world.token()})
    await ws.receive(timeout=5)
    assert ws.close_code == 4410


async def test_a_snapshot_taken_while_mail_changes_is_mended_by_what_follows(world, client) -> None:
    rows = [await world.deliver(PLAIN % b"%d" % number) for number in range(8)]
    left = [row.message_id for row in rows]

    async def between() -> None:
        await world.deliver()
        await carry_out(world, TrashMessages, message_ids=(left.pop(),))
        await carry_out(world, ChangeMessages, message_ids=(left[0],), add_keywords=(SEEN,))
        await carry_out(world, EmptyFolder, folder_id="trash", bound_uid=99)

    state, messages = await snapshot(client, 3, between)
    mended = apply_changes(await all_changes(client, state, 2), messages)
    assert mended == (await snapshot(client, 500))[1]
    assert (await status(client, "/v1/snapshot?cursor=AAAA"))[0] == 400


async def frames(ws: aiohttp.ClientWebSocketResponse) -> AsyncIterator[dict]:
    while True:
        yield await ws.receive_json(timeout=20)


@pytest.mark.parametrize("seed", range(6))
async def test_a_socket_that_was_away_misses_nothing_and_hears_nothing_twice(world, seed) -> None:
    """Mail arrives before, during and after the replay; events are late or repeated."""
    chance, client = random.Random(seed), await world.signed()
    held: list = []

    async def another() -> None:
        _, step = await world.place(PLAIN % b"n")
        held.append(step)
        if chance.random() < 0.5:
            chance.shuffle(held)
            world.feed.emit(*sorted(held, key=lambda step: step.seq), *held[:1])
            held.clear()
        await asyncio.sleep(chance.choice([0, 0, 0.002]))

    for _ in range(chance.randrange(1, 80)):
        await another()
    since = chance.randrange((await world.store.load("alice")).seq + 1)
    ws = await client.ws_connect(f"/v1/push?since={since}")
    for _ in range(60):
        await another()
    world.feed.emit(*held, (await world.place(PLAIN % b"last"))[1])
    last, seqs, live = (await world.store.load("alice")).seq, [], 0
    async for frame in frames(ws):
        if frame["type"] == "live":
            live += 1
            assert frame["seq"] == (seqs[-1] if seqs else since)
            continue
        seqs.append(frame["seq"])
        if frame["seq"] == last:
            break
    assert seqs == list(range(since + 1, last + 1))
    assert live <= 1


async def test_folders_are_pushed_too(world, client) -> None:
    ws = await client.ws_connect("/v1/push")
    await carry_out(world, CreateFolder, folder_id="f1", name="Work")
    frame = await anext(frames(ws))
    assert (frame["type"], frame["change"], frame["seq"]) == ("folder", "created", 1)
    assert frame["folder"] == {"id": "f1", "name": "Work", "parent_id": ""}


async def _sign_in(world: World, number: int) -> str:
    """Create a user with a session and without a password; return the token."""
    name, token = f"u{number}", new_token()
    await world.directory.add_user(
        User(
            user_id=name, domain_id="d", address=f"{name}@postriver.test", disabled=False,
            created_at_ms=0, password_hash="",
        )
    )  # fmt: skip
    session = Session(token_sha256=token_sha256(token), user_id=name, expires_at_ms=FOREVER_MS)
    await world.directory.add_session(session)
    return token


async def test_two_thousand_sockets(make_world) -> None:
    """Each socket gets the changes of its own user only."""
    world = await make_world(socket_ping_s=300, connections_per_peer_max=SOCKETS + 100)
    tokens = [await _sign_in(world, number) for number in range(SOCKETS // SOCKETS_A_USER)]
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(world.url, connector=connector) as client:
        sockets = []
        for number, token in enumerate(tokens):
            for _ in range(SOCKETS_A_USER):
                head = {"Authorization": f"Bearer {token}"}
                ws = await client.ws_connect("/v1/push?since=0", headers=head)
                sockets.append((f"u{number}", ws))
        assert world.context.metrics.sockets == SOCKETS
        await asyncio.gather(*(world.deliver(name=f"u{n}") for n in range(len(tokens))))
        rows = {name: (await world.store.by_id(name, after_id="", limit=9)) for name, _ in sockets}
        for name, ws in sockets:
            frames = [await ws.receive_json(timeout=60) for _ in range(2)]
            (frame,) = (frame for frame in frames if frame["type"] == "change")
            assert [frame["message"]["id"]] == [row.message_id for row in rows[name]]
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
        assert grown_kib / SOCKETS < 256  # with client and server in this process
        await asyncio.gather(*(ws.close() for _, ws in sockets))
