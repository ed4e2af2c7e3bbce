"""Frames of the state of the stack, for operators that watch it."""

import asyncio

from api.push.status_watch import ADMIN_STATUS, StatusReports, StatusWatch
from operations.stack_status import RoleReport, StackReport
from tests.api.push.test_websocket import close_code, frame
from tests.support.edge_world import World
from tests.support.waiting import until

WATCH = {"type": "watch", "what": ["admin.status"]}
PING = {"type": "ping"}


async def test_an_operator_that_watches_gets_the_state_when_it_changes(make_world) -> None:
    world: World = await make_world(socket_watch_s=0.01)
    client = await world.operator()
    ws = await client.ws_connect("/v1/push")
    await ws.send_json(WATCH)
    first = await frame(ws)
    assert (first["type"], first["status"]["state"]) == ("admin.status", "ready")
    lag = StackReport(state="ready", roles=[RoleReport(name="scan", lag=3)])
    world.desk.stack.now = lag
    assert (await frame(ws))["status"]["roles"][0]["lag"] == 3
    world.desk.stack.away = True
    assert await frame(ws) == {"type": "admin.status", "status": None}
    world.desk.stack.away = False
    assert (await frame(ws))["status"] == (await status_of(world, client))
    await ws.send_json(WATCH | {"what": []})
    await ws.send_json(PING)
    assert await frame(ws) == {"type": "pong"}
    world.desk.stack.now = StackReport(state="degraded")
    await ws.send_json(WATCH)
    while (await frame(ws))["status"]["state"] != "degraded":
        continue  # as it was read for others a moment before


async def test_who_is_no_operator_any_more_watches_no_more(world: World) -> None:
    await world.directory.set_role("alice", "operator")
    sent: list[str] = []

    async def send(text: str) -> None:
        sent.append(text)

    reports = StatusReports(world.desk.stack, every_s=0.01)
    watch = StatusWatch(reports, world.directory, "alice", send)
    assert watch.want((ADMIN_STATUS,))
    running = asyncio.create_task(watch.run())
    await until(lambda: sent)
    await world.directory.set_role("alice", "user")
    await until(lambda: not watch.is_watching)
    world.desk.stack.now = StackReport(state="degraded")
    await reports.frame()
    assert len(sent) == 1
    running.cancel()


async def status_of(world: World, client) -> dict:
    async with client.get("/v1/admin/status") as response:
        return await response.json()


async def test_others_get_no_state_and_nothing_else_is_watched(make_world) -> None:
    for admin in (True, False):
        world: World = await make_world(socket_watch_s=0.01, admin=admin)
        client = await world.signed("bob")
        ws = await client.ws_connect("/v1/push")
        await ws.send_json(WATCH)
        await world.deliver(name="bob")
        assert (await frame(ws))["type"] == "change"
        await ws.send_json(PING)
        assert await frame(ws) == {"type": "pong"}
        await ws.send_json(WATCH | {"what": ["admin.status", "everything"]})
        assert await close_code(ws) == 1008
