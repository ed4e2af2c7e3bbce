"""Batches: one change of all messages of a list or a search, in commands of 500 messages."""

import pytest

from mail.mailbox.commit_builder import CHANGES_MAX
from schemas.events.mailbox_commands import ChangeMessages
from schemas.mailbox import SEEN
from tests.api.rest.test_resources import get
from tests.support.edge_world import PLAIN, World

READ = {"unread": False}


async def post(client, body: dict) -> tuple[int, dict, str]:
    async with client.post("/v1/messages/batch", json=body) as response:
        return response.status, await response.json(), response.headers.get("Location", "")


async def test_all_messages_that_match_a_filter_are_changed(world: World) -> None:
    for number in range(3):
        await world.deliver(PLAIN % b"%d" % number)
    await world.deliver(keywords=(SEEN,))
    await world.deliver(folder_id="archive")
    client = await world.signed()
    change = {"add_folder_ids": ["archive"], "remove_folder_ids": ["inbox"]}
    body = {"where": {"folder_id": "inbox", "unread": True}, "change": change}
    status, batch, location = await post(client, body)
    assert (status, batch) == (200, {
        "id": batch["id"], "status": "done", "matched": 3, "changed": 3, "conflicts": 0,
        "refused": 0, "more": False,
    })  # fmt: skip
    assert location == f"/v1/batches/{batch['id']}"
    assert await get(client, location) == {key: batch[key] for key in batch if key != "more"}
    totals = {one["id"]: one["total"] for one in (await get(client, "/v1/folders"))["folders"]}
    assert (totals["inbox"], totals["archive"]) == (1, 4)
    assert (await post(client, body))[1]["matched"] == 0


async def test_a_batch_of_many_is_commands_of_500(world: World) -> None:
    count = CHANGES_MAX + 2
    for number in range(count):
        await world.place(PLAIN % b"n", at_ms=1000 + number)
    client = await world.signed()
    status, batch, location = await post(client, {"where": {}, "change": READ})
    assert (status, batch["matched"], batch["changed"]) == (200, count, count)
    sizes = [
        len(one.message_ids) for one in world.mailboxes.commands if isinstance(one, ChangeMessages)
    ]
    assert sizes == [CHANGES_MAX, 2]
    assert (await get(client, location))["changed"] == count


async def test_all_hits_of_a_search_are_changed(world: World) -> None:
    for subject in (b"invoice one", b"invoice two", b"other"):
        await world.deliver(PLAIN % subject)
    client = await world.signed()
    body = {"q": "subject:invoice", "change": {"keywords": {"bills": True}}}
    status, batch, _ = await post(client, body)
    assert (status, batch["changed"]) == (200, 2)
    page = await get(client, "/v1/messages?keyword=bills")
    assert {one["subject"] for one in page["messages"]} == {"invoice one", "invoice two"}


async def test_a_batch_that_is_not_seen_in_time_goes_on(make_world) -> None:
    world = await make_world(answer_timeout_s=0.05)
    await world.deliver()
    client = await world.signed()
    world.mailboxes.deaf = True
    status, batch, location = await post(client, {"where": {}, "change": READ})
    assert (status, batch["status"], batch["changed"]) == (202, "running", 0)
    assert (await get(client, location))["status"] == "running"
    await world.mailboxes.carry_out(world.mailboxes.commands[-1])
    batch = await get(client, location)
    assert (batch["status"], batch["changed"]) == ("done", 1)


async def test_a_message_that_changed_meanwhile_is_left_as_it_is(make_world) -> None:
    world = await make_world(answer_timeout_s=0.05)
    row = await world.deliver()
    await world.deliver()
    client = await world.signed()
    world.mailboxes.deaf = True
    _, _, location = await post(client, {"where": {}, "change": READ})
    (late,) = world.mailboxes.commands
    world.mailboxes.deaf = False
    async with client.patch(f"/v1/messages/{row.message_id}", json={"flagged": True}) as response:
        assert response.status == 200
    await world.mailboxes.carry_out(late)
    batch = await get(client, location)
    assert (batch["status"], batch["changed"], batch["conflicts"]) == ("done", 1, 1)


async def test_a_batch_has_a_limit_and_says_so(make_world) -> None:
    world = await make_world(batch_max=2)
    for _ in range(3):
        await world.deliver()
    client = await world.signed()
    _, first, _ = await post(client, {"where": {"folder_id": "inbox"}, "change": READ})
    _, second, _ = await post(client, {"where": {"folder_id": "inbox"}, "change": READ})
    assert (first["matched"], first["more"]) == (2, True)
    assert (second["matched"], second["more"]) == (1, False)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"change": READ}, 400, "bad_selection"),
        ({"where": {}, "q": "x", "change": READ}, 400, "bad_selection"),
        ({"where": {}, "change": {}}, 400, "nothing_to_change"),
        ({"where": {"folder_id": "lost"}, "change": READ}, 404, "not_found"),
        ({"where": {"before": "soon"}, "change": READ}, 400, "bad_before"),
        ({"where": {}, "tz": "Nowhere", "change": READ}, 400, "bad_time_zone"),
        ({"q": "from:", "change": READ}, 400, "bad_query"),
        ({"where": {}, "change": {"add_folder_ids": ["lost"]}}, 409, "refused"),
        ({"where": {"size": 1}, "change": READ}, 400, "invalid_body"),
    ],
)
async def test_faulty_batches_are_refused(world: World, body: dict, status: int, code: str) -> None:
    await world.deliver()
    client = await world.signed()
    found, problem, _ = await post(client, body)
    assert (found, problem["code"]) == (status, code)


async def test_malformed_ids_of_batches_are_not_found(world: World) -> None:
    client = await world.signed()
    _, batch, location = await post(client, {"where": {}, "change": READ})
    id_ = batch["id"]
    for other in ("x", id_[:36], id_[:-1], id_.replace("-0-", "-1-"), id_[:-8] + "00000000"):
        async with client.get(f"/v1/batches/{other}") as response:
            assert response.status == 404
    assert (await get(client, location))["status"] == "done"
    async with (await world.signed("bob")).get(location) as response:
        assert response.status == 404
