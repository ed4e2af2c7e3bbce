"""Completions of a search, and the terms of a search."""

from tests.api.rest.test_resources import get
from tests.support.edge_world import PLAIN, World


async def test_the_last_word_is_completed(world: World) -> None:
    await world.deliver(PLAIN % b"Hello")
    client = await world.signed()
    async with client.post("/v1/folders", json={"name": "Old bills"}) as response:
        folder_id = (await response.json())["id"]
    found = await get(client, "/v1/search/suggest?q=is:unread bo")
    assert found["at"] == len("is:unread ")
    assert [one["address"] for one in found["people"]] == ["bob@postriver.test"]
    assert found["operators"] == ["body:"]
    found = await get(client, "/v1/search/suggest?q=from:bo")
    assert (found["at"], len(found["people"]), found["operators"]) == (5, 1, [])
    found = await get(client, "/v1/search/suggest?q=in:bil")
    assert found["folders"] == [{"id": folder_id, "name": "Old bills"}]
    assert found["people"] == []
    assert "is:unread" in (await get(client, "/v1/search/suggest?q=-is"))["operators"]
    async with client.get("/v1/search/suggest?q=") as response:
        assert (await response.json())["code"] == "bad_q"


async def test_a_search_has_its_terms(world: World) -> None:
    await world.deliver(PLAIN % b"Hello")
    page = await get(await world.signed(), "/v1/search?q=subject:hello -is:flagged")
    assert page["terms"] == [
        {"at": 0, "end": 13, "kind": "field", "field": "subject", "value": "hello",
         "negated": False},
        {"at": 14, "end": 25, "kind": "field", "field": "is", "value": "flagged", "negated": True},
    ]  # fmt: skip
