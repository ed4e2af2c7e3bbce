"""/v1/me/settings, /v1/identities, /v1/addresses: changes, refusals, conditions, the feed."""

from typing import Any

import aiohttp
import pytest

from mail.ids import new_id
from schemas.directory import Alias
from schemas.events.mailbox_commands import ChangeSettings
from schemas.user_settings import SettingsPatch
from tests.support.edge_world import World

Answer = tuple[int, dict[str, Any]]
UNKNOWN = "00000000-0000-4000-8000-000000000000"


async def ask(
    client: aiohttp.ClientSession, method: str, path: str, json: Any = None, **headers: str
) -> Answer:
    async with client.request(method, path, json=json, headers=headers) as response:
        body = await response.json(content_type=None) if response.status != 204 else {}
        return response.status, body or {}


async def patch(client: aiohttp.ClientSession, json: Any, **headers: str) -> Answer:
    return await ask(client, "PATCH", "/v1/me/settings", json, **headers)


def a_command(**values: Any) -> ChangeSettings:
    return ChangeSettings(
        command_id=new_id(), user_id="alice", domain_id="d", patch=SettingsPatch(**values), at_ms=5
    )


async def add_aliases(world: World) -> None:
    for address, target, is_group in (
        ("a.lee@postriver.test", "alice@postriver.test", False),
        ("sales@postriver.test", "a.lee@postriver.test", False),
        ("team@postriver.test", "alice@postriver.test", True),
    ):
        await world.directory.add_alias(
            Alias(address=address, domain_id="d", is_group=is_group, targets=(target,),
                  created_at_ms=1)
        )  # fmt: skip


async def test_settings_have_defaults_and_change_one_by_one(world: World) -> None:
    alice = await world.signed()
    status, before = await ask(alice, "GET", "/v1/me/settings")
    assert (status, before["theme"], before["changed_seq"]) == (200, "system", 0)
    await patch(alice, {"theme": "dark"})
    label = {"keyword": "work", "name": "일", "colour": "teal"}
    status, after = await patch(alice, {"labels": [label], "mark_read_after_s": None})
    assert status == 200
    assert after == before | {
        "theme": "dark", "labels": [label], "mark_read_after_s": None, "changed_seq": 2
    }  # fmt: skip
    assert await ask(alice, "GET", "/v1/me/settings") == (200, after)
    assert (await patch(alice, {}))[1] == after
    bob = await world.signed("bob")
    assert await ask(bob, "GET", "/v1/me/settings") == (200, before)


@pytest.mark.parametrize(
    ("body", "code", "place"),
    [
        ({"theme": "pink"}, "bad_setting", "$.theme"),
        ({"zone": "Asia/Atlantis"}, "bad_setting", "$.zone"),
        ({"undo_send_s": "10"}, "invalid_body", "$.undo_send_s"),
        ({"colour": "red"}, "invalid_body", "$"),
        ({"changed_seq": 1}, "invalid_body", "$"),
        ({"labels": [{"keyword": "w", "name": ""}]}, "bad_setting", "$.labels[0].name"),
        ({"rules": [{"id": "r", "conditions": [], "actions": []}]}, "bad_setting",
         "$.rules[0].conditions"),
        ({"identities": [{"id": "i", "address": "bob@postriver.test", "is_default": True}]},
         "bad_setting", "$.identities[0].address"),
    ],
)  # fmt: skip
async def test_an_invalid_value_is_named(world: World, body: Any, code: str, place: str) -> None:
    status, problem = await patch(await world.signed(), body)
    assert (status, problem["code"], problem["place"]) == (400, code, place)
    assert not world.mailboxes.commands


async def test_settings_that_are_too_large_together_are_refused(world: World) -> None:
    alice = await world.signed()
    reply = {"text": "x" * 16_000, "html": "x" * 16_000}
    assert (await patch(alice, {"vacation": reply}))[0] == 200
    texts = [
        {"id": f"i{n}", "address": "alice@postriver.test", "signature_text": "x" * 16_000,
         "is_default": not n}
        for n in range(3)
    ]  # fmt: skip
    status, problem = await patch(alice, {"identities": texts})
    assert (status, problem["code"]) == (409, "refused")
    assert "65536" in problem["detail"]


async def test_if_match_is_of_the_settings_and_not_of_the_mailbox(world: World) -> None:
    alice = await world.signed()
    async with alice.get("/v1/me/settings") as response:
        tag = response.headers["ETag"]
    assert (await patch(alice, {"theme": "dark"}, **{"If-Match": tag}))[0] == 200
    assert (await patch(alice, {"pane": "off"}, **{"If-Match": tag}))[0] == 412
    async with alice.get("/v1/me/settings") as response:
        tag = response.headers["ETag"]
    await world.deliver()
    world.mailboxes.ahead = [a_command(density="compact")]
    assert (await patch(alice, {"pane": "off"}, **{"If-Match": tag}))[0] == 412
    async with alice.get("/v1/me/settings") as response:
        tag, settings = response.headers["ETag"], await response.json()
    assert (settings["pane"], settings["density"]) == ("right", "compact")
    async with alice.get("/v1/me/settings", headers={"If-None-Match": tag}) as response:
        assert response.status == 304


async def test_changes_of_different_settings_do_not_disturb_each_other(world: World) -> None:
    alice = await world.signed()
    world.mailboxes.ahead = [a_command(density="compact")]
    status, after = await patch(alice, {"pane": "off"})
    assert (status, after["pane"], after["density"]) == (200, "off", "compact")


async def test_an_identity_of_the_account_is_there_until_it_is_changed(world: World) -> None:
    alice = await world.signed()
    _, listed = await ask(alice, "GET", "/v1/identities")
    (default,) = listed["identities"]
    assert (default["address"], default["is_default"]) == ("alice@postriver.test", True)
    path = f"/v1/identities/{default['id']}"
    assert (await ask(alice, "DELETE", path))[0] == 409
    html = '<b onclick="x()">Alice</b><script>x()</script>'
    status, changed = await ask(alice, "PATCH", path, {"name": "Alice", "signature_html": html})
    assert status == 200
    assert changed == default | {"name": "Alice", "signature_html": "<b>Alice</b>"}
    _, me = await ask(alice, "GET", "/v1/me")
    assert (me["name"], me["addresses"]) == ("Alice", ["alice@postriver.test"])


async def test_identities_have_addresses_of_their_owner(world: World) -> None:
    await add_aliases(world)
    alice = await world.signed()
    own = ["alice@postriver.test", "a.lee@postriver.test", "sales@postriver.test"]
    assert (await ask(alice, "GET", "/v1/me"))[1]["addresses"] == own
    status, first = await ask(
        alice, "POST", "/v1/identities", {"address": "A.Lee+x@Postriver.test", "is_default": True}
    )
    assert (status, first["address"]) == (201, "A.Lee+x@Postriver.test")
    for address in ("team@postriver.test", "bob@postriver.test", "x"):
        status, problem = await ask(alice, "POST", "/v1/identities", {"address": address})
        assert (status, problem["code"], problem["place"]) == (400, "bad_setting", "$.address")
    _, listed = await ask(alice, "GET", "/v1/identities")
    assert [one["is_default"] for one in listed["identities"]] == [False, True]
    path = f"/v1/identities/{listed['identities'][0]['id']}"
    assert (await ask(alice, "PATCH", path, {"is_default": True}))[0] == 200
    assert (await ask(alice, "PATCH", path, {"is_default": False}))[0] == 400
    assert (await ask(alice, "DELETE", f"/v1/identities/{first['id']}"))[0] == 204
    assert (await ask(alice, "DELETE", f"/v1/identities/{first['id']}"))[0] == 404
    assert (await ask(alice, "PATCH", f"/v1/identities/{UNKNOWN}", {"name": "x"}))[0] == 404


async def test_a_change_of_identities_is_made_again_after_another_change(world: World) -> None:
    alice = await world.signed()
    world.mailboxes.ahead = [a_command(theme="dark")]
    body = {"address": "alice@postriver.test", "name": "Second"}
    assert (await ask(alice, "POST", "/v1/identities", body))[0] == 201
    _, listed = await ask(alice, "GET", "/v1/identities")
    assert len(listed["identities"]) == 2
    assert (await ask(alice, "GET", "/v1/me/settings"))[1]["theme"] == "dark"


async def test_the_feed_and_the_socket_say_what_changed(world: World) -> None:
    alice = await world.signed()
    async with alice.ws_connect("/v1/push?since=0") as socket:
        assert (await socket.receive_json(timeout=30))["type"] == "live"
        await patch(alice, {"theme": "dark", "pane": "right"})
        frame = await socket.receive_json(timeout=30)
    settings = {"theme": "dark"}
    assert frame == {"type": "settings", "state": "1-1", "seq": 1, "settings": settings}
    _, page = await ask(alice, "GET", "/v1/changes?since=0")
    assert page["changes"] == [{"seq": 1, "change": "updated", "settings": settings}]


async def test_a_change_that_is_not_seen_in_time_is_accepted(make_world) -> None:
    world: World = await make_world(answer_timeout_s=0.05)
    alice, world.mailboxes.deaf = await world.signed(), True
    assert (await patch(alice, {"theme": "dark"}))[0] == 202
    body = {"address": "alice@postriver.test"}
    assert (await ask(alice, "POST", "/v1/identities", body))[0] == 202


async def test_addresses_are_completed(world: World) -> None:
    mail = 'From: =?utf-8?b?6rmA7ZWY64qY?= <kim@x.test>\r\nTo: "Lee, K" <lee@x.test>\r\n\r\n'
    await world.deliver(mail.encode(), at_ms=1_767_225_600_000)
    await world.deliver(mail.encode(), at_ms=1_767_225_700_000, folder_id="sent")
    await world.deliver(mail.replace("kim", "spam").encode(), folder_id="junk")
    alice, bob = await world.signed(), await world.signed("bob")
    status, found = await ask(alice, "GET", "/v1/addresses?q=하늘")
    assert (status, found["addresses"]) == (
        200,
        [{"name": "김하늘", "address": "kim@x.test", "written_to": 0, "received": 1,
          "last_at": "2026-01-01T00:00:00.000Z"}],
    )  # fmt: skip
    _, found = await ask(alice, "GET", "/v1/addresses?q=X.TEST&limit=1")
    assert [one["address"] for one in found["addresses"]] == ["lee@x.test"]
    assert await ask(alice, "GET", "/v1/addresses?q=spam") == (200, {"addresses": []})
    assert await ask(bob, "GET", "/v1/addresses?q=kim") == (200, {"addresses": []})
    for wrong in ("", "?q=", f"?q={'x' * 129}", "?q=x&limit=0"):
        assert (await ask(alice, "GET", f"/v1/addresses{wrong}"))[0] == 400
