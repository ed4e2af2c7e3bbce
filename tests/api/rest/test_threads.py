"""Lists of conversations and of messages by position; bodies of a thread."""

import pytest

from api.rest.threads import BODIES_MAX
from schemas.mailbox import SEEN
from tests.api.rest.test_resources import DETAIL, SUMMARY, get
from tests.support.edge_world import PLAIN, World

CONVERSATION = {
    "id", "folder_ids", "subject", "preview", "count", "unread", "flagged", "has_attachments",
    "has_draft", "keywords", "people", "received_at", "latest_id", "message_ids", "changed_seq",
}  # fmt: skip
REPLY = (
    b"From: %s <%s@elsewhere.test>\r\nMessage-ID: <%s.%d@x.test>\r\nIn-Reply-To: <root@x.test>\r\n"
    b"Subject: Re: the river\r\n\r\n%s"
)


async def talk(world: World, *authors: bytes, folder_id: str = "inbox", text: bytes = b"text"):
    """Deliver a message of each author to one thread, in this order."""
    return [
        await world.deliver(
            REPLY % (author.title(), author, author, at, text), at_ms=1000 + at, folder_id=folder_id
        )
        for at, author in enumerate(authors)
    ]


async def test_a_conversation_has_what_lists_show(world: World) -> None:
    rows = await talk(world, b"kim", b"lee", b"kim")
    client = await world.signed()
    change = {"unread": False, "keywords": {"work": True}}
    async with client.patch(f"/v1/messages/{rows[1].message_id}", json=change) as response:
        assert response.status == 200
    for path in ("/v1/threads", "/v1/folders/inbox/threads"):
        page = await get(client, f"{path}?position=0")
        (row,) = page["threads"]
        assert set(row) == CONVERSATION
        assert (page["position"], page["total"]) == (0, 1)
        assert page["next_cursor"] is page["previous_cursor"] is None
        assert (row["id"], row["folder_ids"]) == (rows[0].thread_id, ["inbox"])
        assert (row["subject"], row["count"], row["unread"]) == ("Re: the river", 3, 2)
        assert (row["keywords"], row["latest_id"]) == (["work"], rows[2].message_id)
        assert row["message_ids"] == [one.message_id for one in reversed(rows)]
        assert row["people"] == [
            {"name": "Kim", "address": "kim@elsewhere.test", "unread": True},
            {"name": "Lee", "address": "lee@elsewhere.test", "unread": False},
        ]
        assert page["state"] == (await get(client, "/v1/changes?since=0"))["state"]
    folder = await get(client, "/v1/folders/inbox")
    assert (folder["threads"], folder["unread_threads"]) == (1, 1)


async def test_conversations_are_filtered(world: World) -> None:
    (first,) = await talk(world, b"kim")
    await world.deliver(PLAIN % b"alone", at_ms=1)
    client = await world.signed()
    change = {"keywords": {"Work": True, SEEN: True}}
    async with client.patch(f"/v1/messages/{first.message_id}", json=change) as response:
        assert response.status == 200
    for query, count in (("keyword=WORK", 1), ("unread=true", 1), ("flagged=true", 0)):
        for path, name in (("/v1/threads", "threads"), ("/v1/messages", "messages")):
            page = await get(client, f"{path}?{query}&position=0")
            assert (len(page[name]), page["total"]) == (count, count)
    page = await get(client, "/v1/folders/inbox/threads?unread=false")
    assert [row["id"] for row in page["threads"]] == [first.thread_id]


async def test_lists_go_to_a_position_and_back(world: World) -> None:
    rows = [await world.deliver(PLAIN % b"n", at_ms=1000 + at) for at in range(5)]
    client, ids = await world.signed(), [row.message_id for row in reversed(rows)]
    for path, name in (
        ("/v1/messages", "messages"), ("/v1/folders/inbox/messages", "messages"),
        ("/v1/threads", "threads"), ("/v1/folders/inbox/threads", "threads"),
    ):  # fmt: skip
        key = "latest_id" if name == "threads" else "id"
        page = await get(client, f"{path}?position=2&limit=2")
        assert [row[key] for row in page[name]] == ids[2:4]
        assert (page["position"], page["total"]) == (2, 5)
        for cursor, part in (("previous_cursor", ids[:2]), ("next_cursor", ids[4:])):
            other = await get(client, f"{path}?limit=2&cursor={page[cursor]}")
            assert [row[key] for row in other[name]] == part
            assert other["position"] is other["total"] is None


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("position=-1", "bad_position"), ("position=x", "bad_position"),
        ("position=200001", "bad_position"), ("position=0&cursor=x", "bad_position"),
        ("cursor=x", "bad_cursor"), ("keyword=a%20b", "bad_keyword"), ("limit=0", "bad_limit"),
    ],
)  # fmt: skip
async def test_an_invalid_page_is_refused(world: World, query: str, code: str) -> None:
    client = await world.signed()
    for path in ("/v1/threads", "/v1/folders/inbox/threads", "/v1/folders/inbox/messages"):
        async with client.get(f"{path}?{query}") as response:
            problem = await response.json()
            assert (response.status, problem["code"]) == (400, code)
    async with client.get("/v1/folders/none/threads") as response:
        assert response.status == 404


async def test_a_thread_opens_with_the_bodies_of_its_unread_and_its_newest(world: World) -> None:
    rows = await talk(world, b"kim", b"lee", b"kim")
    client, path = await world.signed(), f"/v1/threads/{rows[0].thread_id}"
    for row in (rows[1], rows[2]):
        async with client.patch(f"/v1/messages/{row.message_id}", json={"unread": False}) as reply:
            assert reply.status == 200
    page = await get(client, f"{path}?bodies=open")
    assert [row["id"] for row in page["messages"]] == [row.message_id for row in rows]
    assert set(page["bodies"]) == {rows[0].message_id, rows[2].message_id}
    assert all(set(body) == DETAIL - SUMMARY for body in page["bodies"].values())
    assert page["bodies"][rows[2].message_id]["text"] == "text"
    assert "bodies" not in await get(client, path)
    async with client.get(f"{path}?bodies=all") as response:
        assert (response.status, (await response.json())["code"]) == (400, "bad_bodies")


async def test_bodies_beyond_the_limits_are_cut(world: World) -> None:
    many = await talk(world, *[b"kim"] * (BODIES_MAX + 2))
    client = await world.signed()
    bodies = (await get(client, f"/v1/threads/{many[0].thread_id}?bodies=open"))["bodies"]
    assert [bodies[row.message_id] is None for row in many] == [True] * 2 + [False] * BODIES_MAX


async def test_bodies_have_two_mebibytes(world: World) -> None:
    large = await talk(world, *[b"kim"] * 5, text=b"0123456789abcde\r\n" * 55_000)
    client = await world.signed()
    bodies = (await get(client, f"/v1/threads/{large[0].thread_id}?bodies=open"))["bodies"]
    assert [bodies[row.message_id] is None for row in large] == [True, True, False, False, False]


async def test_a_search_has_rows_of_conversations(world: World) -> None:
    """Each at its first hit; in all mail, or in the folder of a hit that all mail does not show."""
    rows = await talk(world, b"kim", b"lee", b"park", text=b"the river runs")
    (junk,) = [await world.deliver(PLAIN % b"river", at_ms=9, folder_id="junk")]
    client = await world.signed()
    whole = await get(client, "/v1/search?q=river&threads=true")
    assert (whole["messages"], whole["total"], whole["next_cursor"]) == ([], 4, None)
    talked, alone = whole["threads"]
    listed = (await get(client, "/v1/threads"))["threads"]
    hits = [row.message_id for row in reversed(rows)]
    assert {name: talked[name] for name in CONVERSATION} == listed[0]
    assert set(talked) - CONVERSATION == {"hit_ids", "highlights"}
    assert talked["hit_ids"] == hits
    assert talked["highlights"]["subject"] == "Re: the <mark>river</mark>"
    assert (alone["folder_ids"], alone["hit_ids"]) == (["junk"], [junk.message_id])
    assert alone["count"] == 1
    first = await get(client, "/v1/search?q=river&threads=true&limit=1")
    (row,) = first["threads"]
    assert (row["hit_ids"], row["count"]) == (hits[:1], 3)
    path = f"/v1/search?q=river&threads=true&limit=9&cursor={first['next_cursor']}"
    assert [row["hit_ids"] for row in (await get(client, path))["threads"]] == [
        hits[1:], [junk.message_id],
    ]  # fmt: skip
    plain = await get(client, "/v1/search?q=river")
    assert "threads" not in plain
    assert len(plain["messages"]) == 4
