"""Epochs: a restore reuses seqs and uids, and clients must not mix the two histories."""

from typing import Any

import aiohttp
import pytest

from api.config import ApiConfig
from schemas.events.mailbox_events import MailboxChanged
from stores.memory import MemoryMailStore
from tests.support.edge_world import PLAIN, World

EPOCH = 1_790_000_000


async def status(client: aiohttp.ClientSession, path: str) -> tuple[int, dict[str, Any]]:
    async with client.get(path) as response:
        return response.status, await response.json()


async def body_of(client: aiohttp.ClientSession, path: str) -> dict[str, Any]:
    code, body = await status(client, path)
    assert code == 200, body
    return body


async def test_a_state_of_another_epoch_is_gone_however_far_the_mailbox_is(make_world) -> None:
    world = await make_world(epoch=EPOCH)
    client = await world.signed()
    for number in range(3):
        await world.deliver(PLAIN % b"%d" % number)
    for since in ("1", "1-2", f"{EPOCH - 1}-3", f"{EPOCH + 1}-1"):
        code, problem = await status(client, f"/v1/changes?since={since}")
        assert (code, problem["code"], problem["snapshot"]) == (410, "feed_gone", "/v1/snapshot")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(f"/v1/push?since={since}")
        assert refused.value.status == 410
        ws = await world.client().ws_connect(f"/v1/push?since={since}")
        await ws.send_json({"token": await world.token()})
        await ws.receive(timeout=5)
        assert ws.close_code == 4410
    for since in ("0", "1-0", f"{EPOCH}-0"):
        assert len((await body_of(client, f"/v1/changes?since={since}"))["changes"]) == 3
    assert (await body_of(client, f"/v1/changes?since={EPOCH}-2"))["state"] == f"{EPOCH}-3"
    assert (await body_of(client, "/v1/snapshot"))["state"] == f"{EPOCH}-3"


async def test_tags_uids_and_cursors_of_another_epoch_are_of_no_use(make_world) -> None:
    """The same mailbox in a later epoch: tags, uids and cursors of the earlier epoch are void."""
    before = await make_world()
    row = await before.deliver()
    await before.deliver()
    after = World(
        config=ApiConfig(port=0, epoch=EPOCH), store=before.store, contents=before.contents
    )
    await after.open()
    try:
        old, new = await before.signed(), await after.signed()
        paths = (f"/v1/messages/{row.message_id}", "/v1/folders", "/v1/folders/inbox/uids")
        for path in paths:
            async with old.get(path) as response:
                tag = response.headers["ETag"]
            async with new.get(path, headers={"If-None-Match": tag}) as response:
                assert response.status == 200
                assert response.headers["ETag"] != tag
        assert (await body_of(new, paths[2]))["uidvalidity"] == EPOCH
        tag = f'"1-{row.changed_seq}"'
        async with new.delete(paths[0], headers={"If-Match": tag}) as response:
            assert response.status == 412
        cursor = (await body_of(old, "/v1/snapshot?limit=1"))["next_cursor"]
        assert (await status(new, f"/v1/snapshot?limit=1&cursor={cursor}"))[0] == 400
    finally:
        await after.close()


async def test_a_step_is_seen_through_with_its_last_frame(world) -> None:
    client = await world.signed()
    ids = tuple([(await world.deliver(PLAIN % b"%d" % number)).message_id for number in range(3)])
    ws = await client.ws_connect("/v1/push")
    answer = await client.patch("/v1/messages", json={"ids": ids, "unread": False})
    assert answer.status == 200
    frames = [await ws.receive_json(timeout=20) for _ in ids]
    assert [(frame["seq"], frame["state"]) for frame in frames] == [
        (4, None),
        (4, None),
        (4, "1-4"),
    ]
    assert sorted(frame["message"]["id"] for frame in frames) == sorted(ids)
    await ws.send_json({"type": "ping"})
    assert await ws.receive_json(timeout=20) == {"type": "pong"}


class RecordingStore(MemoryMailStore):
    """Records the `since_seq` of each read of a journal."""

    def __init__(self) -> None:
        super().__init__()
        self.read_since: list[int] = []

    async def journal(self, user_id: str, *, since_seq: int, limit: int) -> list[MailboxChanged]:
        self.read_since.append(since_seq)
        return await super().journal(user_id, since_seq=since_seq, limit=limit)


async def test_what_a_socket_missed_is_read_once() -> None:
    store = RecordingStore()
    world = World(store=store)
    await world.open()
    try:
        await world.deliver()
        store.read_since.clear()
        ws = await (await world.signed()).ws_connect("/v1/push?since=1-0")
        types = [(await ws.receive_json(timeout=20))["type"] for _ in range(2)]
        assert types == ["change", "live"]
        assert store.read_since == [0, 1]
    finally:
        await world.close()
