"""State of the stack and lag of two hours, as operators see them."""

import asyncio
from typing import Any

from aiohttp import web

from cli.roles.lag_history import SAMPLES_KEPT, LagHistory
from cli.wiring.stack_status import OpsStackStatus
from mail.clock import now_ms
from operations.stack_status import HeldReport, LagSamples, RoleReport, StackReport
from tests.api.admin.test_admission import answer
from tests.support.edge_world import World

REPORT = {
    "state": "ready",
    "processes": [{"name": "scan", "pid": 7, "state": "running", "restarts": 1}],
    "engines": [{"name": "clamd", "pid": 8, "state": "running", "restarts": 0, "detail": "two"}],
    "roles": [{"name": "scan", "lag": None, "held": [], "detail": {"x": 1}, "warnings": []}],
    "reasons": {},
    "warnings": ["TEST SET ONLY"],
    "signatures": "test",
}


async def test_the_state_is_that_of_the_supervisor(world: World) -> None:
    client = await world.operator()
    held = HeldReport(stage="scan", topic="mail.validated", engine="clamd", since_ms=5)
    role = RoleReport(name="scan", lag=3, held=[held])
    world.desk.stack.now = StackReport(state="degraded", roles=[role], warnings=["odd"])
    status, body = await answer(client, "GET", "/v1/admin/status")
    assert (status, body["state"], body["warnings"]) == (200, "degraded", ["odd"])
    assert body["roles"][0]["held"][0]["engine"] == "clamd"
    world.desk.stack.away = True
    for page in ("status", "history"):
        assert (await answer(client, "GET", f"/v1/admin/{page}"))[0] == 503


async def test_the_history_has_a_value_for_each_half_minute(world: World) -> None:
    client = await world.operator()
    now = now_ms()
    samples = [(now - 3 * 3_600_000, 99), (now - 30_000, 4), (now, 5)]
    world.desk.stack.samples = [LagSamples(name="scan", samples=samples)]
    _, body = await answer(client, "GET", "/v1/admin/history?minutes=2")
    (series,) = body["series"]
    assert (series["name"], len(series["values"]), body["step_ms"]) == ("scan", 4, 30_000)
    assert series["values"][:2] == [None, None]
    assert 5 in series["values"][2:]
    assert len((await answer(client, "GET", "/v1/admin/history"))[1]["series"][0]["values"]) == 240
    for bad in ("0", "121", "x", ""):
        status, body = await answer(client, "GET", f"/v1/admin/history?minutes={bad}")
        assert (status, body["code"]) == (400, "bad_minutes")


async def test_a_process_keeps_two_hours() -> None:
    lag: list[Any] = [0]
    history = LagHistory(lambda: {"lag": lag[0]})
    for number in range(SAMPLES_KEPT + 5):
        lag[0] = number
        await history.sample()
    lag[0] = None
    await history.sample()
    kept = (await history.respond(None)).text
    assert kept is not None
    assert kept.count("[") == SAMPLES_KEPT + 1
    assert f", {SAMPLES_KEPT + 4}]" in kept
    assert ", 4]" not in kept


async def test_supervisors_of_several_machines_are_one_answer() -> None:
    hosts: list[str] = []

    async def status(request: web.Request) -> web.Response:
        hosts.append(request.host)
        return web.json_response(REPORT)

    async def history(_: web.Request) -> web.Response:
        return web.json_response({"roles": [{"name": "scan", "samples": [[5, 1]]}]})

    app = web.Application()
    app.add_routes([web.get("/status", status), web.get("/history", history)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        one = await OpsStackStatus((url,)).report()
        assert (one.state, one.processes[0].restarts, one.engines[0].detail) == ("ready", 1, "two")
        both = OpsStackStatus((url, f"{url}/"))
        names = [role.name for role in (await both.report()).roles]
        assert names == [f"scan@{url.removeprefix('http://')}"] * 2
        assert [each.samples for each in await both.lags()] == [[(5, 1)]] * 2
        assert set(hosts) == {"localhost"}
    finally:
        await runner.cleanup()
    gone = await asyncio.gather(OpsStackStatus((url,)).report(), return_exceptions=True)
    assert "supervisor" in str(gone[0])
