"""Commands to messages and folders, list filters, threads, conditional requests."""

from collections.abc import Callable

import pytest
from aiohttp import ClientSession

from mail.errors import StoreUnavailable
from mail.ids import new_id
from mail.mailbox.keywords import KEYWORDS_MAX
from schemas.events.mailbox_commands import ChangeMessages
from tests.support.edge_world import PLAIN, World

NOBODY = "00000000-0000-4000-8000-000000000000"
REPLY = (
    b"From: kim@elsewhere.test\r\nMessage-ID: <r%d@elsewhere.test>\r\n"
    b"In-Reply-To: <root@elsewhere.test>\r\nSubject: Re\r\n\r\nHello\r\n"
)


class Asking:
    """Client with short calls for JSON requests."""

    def __init__(self, client: ClientSession) -> None:
        self.client = client

    async def __call__(
        self, method: str, path: str, json: object = None, *, status: int = 200, **headers: str
    ) -> dict:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.request(method, path, json=json, headers=named) as response:
            self.headers = response.headers
            body = await response.read()
            assert response.status == status, body
            return await response.json(content_type=None) if "json" in response.content_type else {}

    async def listed(self, path: str) -> list[str]:
        return [message["id"] for message in (await self("GET", path))["messages"]]

    async def outcomes(self, method: str, path: str, json: object, *, status: int = 200) -> list:
        answer = await self(method, path, json, status=status)
        return [result["outcome"] for result in answer["outcomes"]]


@pytest.fixture
async def ask(world: World) -> Asking:
    return Asking(await world.signed())


async def test_keywords_and_folders_change_together(world: World, ask: Asking) -> None:
    row = await world.deliver(keywords=("work",))
    change = {
        "unread": False, "keywords": {"Work": False, "$Answered": True},
        "add_folder_ids": ["archive"], "remove_folder_ids": ["inbox"],
    }  # fmt: skip
    answer = await ask("PATCH", f"/v1/messages/{row.message_id}", change)
    assert (answer["keywords"], answer["folder_ids"]) == (["$answered", "$seen"], ["archive"])
    answer = await ask("PATCH", f"/v1/messages/{row.message_id}", {"folder_ids": ["inbox", "sent"]})
    assert answer["folder_ids"] == ["inbox", "sent"]
    assert await ask.listed("/v1/folders/archive/messages") == []


@pytest.mark.parametrize(
    ("change", "status", "code", "place"),
    [
        ({"keywords": {"no space": True}}, 400, "bad_keyword", "$.keywords"),
        ({"keywords": {}}, 400, "invalid_body", "$.keywords"),
        ({"keywords": {"a": True, "A": False}}, 400, "contradiction", "$.keywords"),
        ({"keywords": {"$seen": True}, "unread": True}, 400, "contradiction", "$.keywords"),
        ({"folder_ids": ["inbox"], "add_folder_ids": ["sent"]}, 400, "contradiction",
         "$.folder_ids"),
        ({"folder_ids": []}, 400, "invalid_body", "$.folder_ids"),
        ({"folder_ids": ["nowhere"]}, 409, "refused", None),
        ({"remove_folder_ids": ["inbox"]}, 409, "refused", None),
    ],
)  # fmt: skip
async def test_a_change_that_cannot_be_is_told_why(
    world: World, ask: Asking, change, status, code, place
) -> None:
    row = await world.deliver()
    answer = await ask("PATCH", f"/v1/messages/{row.message_id}", change, status=status)
    assert (answer["code"], answer.get("place")) == (code, place)
    assert (await ask("GET", f"/v1/messages/{row.message_id}"))["changed_seq"] == 1


async def test_many_are_changed_at_once_and_each_is_told_of(world: World, ask: Asking) -> None:
    rows = [await world.deliver() for _ in range(3)]
    seen = await world.deliver(keywords=("$seen",))
    other = await world.deliver(name="bob")
    ids = [*(row.message_id for row in rows), seen.message_id, other.message_id, NOBODY, "x" * 9]
    expected = ["updated"] * 3 + ["unchanged"] + ["not_found"] * 3
    assert await ask.outcomes("PATCH", "/v1/messages", {"ids": ids, "unread": False}) == expected
    assert (await ask("GET", "/v1/folders/inbox"))["unread"] == 0
    repeated = {"ids": [ids[0], ids[0]], "flagged": True}
    assert await ask.outcomes("PATCH", "/v1/messages", repeated) == ["updated"]
    assert (await world.store.load("bob")).folders["inbox"].unread == 1


async def test_more_than_one_order_holds_are_several(world: World, ask: Asking) -> None:
    rows = [await world.deliver() for _ in range(501)]
    ids = [row.message_id for row in rows]
    assert (
        await ask.outcomes("PATCH", "/v1/messages", {"ids": ids, "flagged": True})
        == ["updated"] * 501
    )
    assert [len(order.message_ids) for order in world.mailboxes.commands] == [500, 1]
    assert (await ask("POST", "/v1/folders/inbox/read"))["unread"] == 0
    too_many = {"ids": ids + [NOBODY] * 500, "flagged": True}
    assert (await ask("PATCH", "/v1/messages", too_many, status=400))["place"] == "$.ids"
    assert (await ask("PATCH", "/v1/messages", {"ids": ids}, status=400))["place"] == "$"


async def test_one_that_refuses_does_not_hold_up_the_others(world: World, ask: Asking) -> None:
    full = await world.deliver(keywords=tuple(f"k{n}" for n in range(KEYWORDS_MAX)))
    row = await world.deliver()
    ids = [full.message_id, NOBODY, row.message_id]
    answer = await ask("PATCH", "/v1/messages", {"ids": ids, "flagged": True})
    results = [(row["outcome"], row.get("detail", "")) for row in answer["outcomes"]]
    assert results == [
        ("refused", "The message has as many keywords as it can have."),
        ("not_found", ""),
        ("updated", ""),
    ]
    nowhere = {"ids": ids, "add_folder_ids": ["nowhere"]}
    assert await ask.outcomes("PATCH", "/v1/messages", nowhere) == ["refused"] * 3


async def test_deleting_is_to_the_trash_and_from_there_for_good(world: World, ask: Asking) -> None:
    one, two, three = [await world.deliver() for _ in range(3)]
    path = f"/v1/messages/{one.message_id}"
    assert (await ask("DELETE", path))["folder_ids"] == ["trash"]
    assert await ask("DELETE", path, status=204) == {}
    for method in ("GET", "DELETE"):
        assert (await ask(method, path, status=404))["code"] == "not_found"
    ids = {"ids": [one.message_id, two.message_id, three.message_id]}
    await ask("DELETE", f"/v1/messages/{three.message_id}")
    outcomes = await ask.outcomes("POST", "/v1/messages/delete", ids)
    assert outcomes == ["not_found", "trashed", "destroyed"]
    assert await ask.listed("/v1/messages") == []
    assert (await ask("GET", "/v1/folders/trash"))["total"] == 1


async def test_a_repeated_delete_destroys_nothing(
    make_world: Callable[..., World],
) -> None:
    """The mailbox is slow: at each repeat the API still reads the message in the inbox."""
    world = await make_world(answer_timeout_s=0.05)
    one, two = await world.deliver(), await world.deliver()
    ask = Asking(await world.signed())
    world.mailboxes.deaf = True
    for _ in range(2):
        await ask("DELETE", f"/v1/messages/{one.message_id}", status=202)
        await ask("POST", "/v1/messages/delete", {"ids": [two.message_id]}, status=202)
        await ask("POST", "/v1/folders/trash/empty", status=202)
    for command in world.mailboxes.commands:
        await world.mailboxes.carry_out(command)
    assert (await world.store.load("alice")).folders["trash"].total == 2


async def test_what_changed_since_it_was_read_is_not_destroyed(
    make_world: Callable[..., World],
) -> None:
    """DELETE destroys in trash and junk, but not a message that its owner has moved back."""
    world = await make_world(answer_timeout_s=0.05)
    mails = [await world.deliver(folder_id=name) for name in ("trash", "junk", "trash", "junk")]
    one, two, three, four = (mail.message_id for mail in mails)
    ask = Asking(await world.signed())
    world.mailboxes.deaf = True
    await ask("PATCH", "/v1/messages", {"ids": [one, three], "folder_ids": ["inbox"]}, status=202)
    await ask("POST", "/v1/messages/delete", {"ids": [one, two]}, status=202)
    await ask("DELETE", f"/v1/messages/{three}", status=202)
    await ask("DELETE", f"/v1/messages/{four}", status=202)
    events = [await world.mailboxes.carry_out(command) for command in world.mailboxes.commands]
    assert [getattr(event, "outcome", "") for event in events] == ["", "", "conflict", ""]
    assert set(await ask.listed("/v1/folders/inbox/messages")) == {one, three}
    assert (await world.store.load("alice")).usage.messages == 2


async def test_a_message_that_changes_meanwhile_is_passed_over(world: World, ask: Asking) -> None:
    """The mailbox runs another command between the API's read and the API's command."""
    mails = [await world.deliver(folder_id="trash") for _ in range(3)]
    one, two, three = (mail.message_id for mail in mails)
    flagged = [
        ChangeMessages(
            command_id=new_id(), user_id="alice", domain_id="d", at_ms=1,
            message_ids=(id_,), add_keywords=("$flagged",),
        )
        for id_ in (one, three)
    ]  # fmt: skip
    world.mailboxes.ahead = flagged[:1]
    ids = {"ids": [one, two, NOBODY]}
    outcomes = await ask.outcomes("POST", "/v1/messages/delete", ids)
    assert outcomes == ["conflict", "destroyed", "not_found"]
    world.mailboxes.ahead = flagged[1:]
    answer = await ask("DELETE", f"/v1/messages/{three}", status=409)
    assert answer["code"] == "changed_meanwhile"
    await ask("DELETE", f"/v1/messages/{three}", status=204)


async def test_a_change_holds_to_what_was_seen(world: World, ask: Asking) -> None:
    row = await world.deliver()
    path = f"/v1/messages/{row.message_id}"
    await ask("GET", path)
    first = ask.headers["ETag"]
    await ask("PATCH", path, {"flagged": True}, If_Match=f'"77", {first}')
    second = ask.headers["ETag"]
    for stale in (first, f"W/{second}", "rubbish"):
        answer = await ask("PATCH", path, {"flagged": False}, If_Match=stale, status=412)
        assert answer["code"] == "changed_meanwhile"
        assert await ask("DELETE", path, If_Match=stale, status=412)
    assert (await ask("PATCH", path, {"flagged": False}, If_Match="*"))["flagged"] is False
    await ask("DELETE", path, If_Match=ask.headers["ETag"])
    many = {"ids": [row.message_id], "flagged": True}
    answer = await ask("PATCH", "/v1/messages", many, If_Match=first, status=400)
    assert answer["place"] == "header:If-Match"


async def test_what_the_client_has_is_not_sent_again(world: World, ask: Asking) -> None:
    row = await world.deliver()
    path = f"/v1/messages/{row.message_id}"
    paths = [
        path, f"{path}/raw", "/v1/folders", "/v1/folders/inbox", "/v1/messages?unread=true",
        "/v1/folders/inbox/messages", "/v1/folders/inbox/uids", f"/v1/threads/{row.thread_id}",
    ]  # fmt: skip
    kept = {}
    for each in paths:
        await ask("GET", each)
        kept[each] = ask.headers["ETag"]
        assert await ask("GET", each, status=304, If_None_Match=f'"x", W/{kept[each]}') == {}
        assert ask.headers["ETag"] == kept[each]
    await ask("GET", "/v1/folders/inbox", status=304, If_None_Match="*")
    await ask("GET", "/v1/folders/nowhere", status=404, If_None_Match="*")
    await ask("PATCH", path, {"unread": False})
    for each in set(paths) - {f"{path}/raw"}:
        await ask("GET", each, If_None_Match=kept[each])
        assert ask.headers["ETag"] != kept[each]


async def test_lists_are_filtered(world: World, ask: Asking) -> None:
    day_ms = 1_767_225_600_000  # 2026-01-01T00:00Z
    first = await world.deliver(at_ms=day_ms - 1, keywords=("$flagged",))
    second = await world.deliver(REPLY % 1, at_ms=day_ms, folder_id="archive")
    await world.deliver(at_ms=day_ms + 1, folder_id="junk")
    await world.deliver(at_ms=day_ms + 2, folder_id="trash")
    one, two = first.message_id, second.message_id
    for query, ids in {
        "": [two, one], "flagged=true": [one], "flagged=false": [two],
        "from=Kim@Elsewhere.test": [two], "from=nobody": [], "has_attachments=true": [],
        "after=2026-01-01": [two], "before=2026-01-01": [one],
        "after=2026-01-01&tz=Asia/Seoul": [two, one],
        "before=2025-12-31T23:59:59.999Z": [], "unread=true&limit=1": [two],
    }.items():  # fmt: skip
        assert await ask.listed(f"/v1/messages?{query}") == ids, query
    assert await ask.listed("/v1/folders/inbox/messages?flagged=true") == [one]
    for name in ("flagged", "has_attachments", "after", "before", "from"):
        bad = await ask("GET", f"/v1/messages?{name}=", status=400)
        assert (bad["code"], bad["place"]) == (f"bad_{name}", f"query:{name}")


async def test_uids_tell_the_order_of_coming(world: World, ask: Asking) -> None:
    rows = [await world.deliver(at_ms=9 - at) for at in range(3)]
    page = await ask("GET", "/v1/folders/inbox/uids?limit=2")
    assert [(message["uid"], message["id"]) for message in page["messages"]] == [
        (1, rows[0].message_id), (2, rows[1].message_id)
    ]  # fmt: skip
    assert (page["uidvalidity"], page["next_uid"]) == (1, 4)
    rest = await ask("GET", "/v1/folders/inbox/uids?after_uid=2")
    assert [message["uid"] for message in rest["messages"]] == [3]
    assert (await ask("GET", "/v1/folders/inbox/uids?after_uid=-1", status=400))["place"]
    await ask("GET", "/v1/folders/nowhere/uids", status=404)


async def test_a_conversation_is_read_whole(world: World, ask: Asking) -> None:
    root = PLAIN.replace(b"\r\n\r\n", b"\r\nMessage-ID: <root@elsewhere.test>\r\n\r\n") % b"root"
    rows = [await world.deliver(root, at_ms=1), await world.deliver(REPLY % 1, at_ms=2)]
    rows.append(await world.deliver(REPLY % 2, at_ms=3, folder_id="archive"))
    await world.deliver(at_ms=4)
    thread_id = (await ask("GET", f"/v1/messages/{rows[0].message_id}"))["thread_id"]
    page = await ask("GET", f"/v1/threads/{thread_id}?limit=2")
    rest = await ask("GET", f"/v1/threads/{thread_id}?cursor={page['next_cursor']}")
    ids = [message["id"] for message in (*page["messages"], *rest["messages"])]
    assert ids == [row.message_id for row in rows]
    assert rest["next_cursor"] is None
    for id_ in (NOBODY, "rubbish"):
        await ask("GET", f"/v1/threads/{id_}", status=404)
    await ask("GET", f"/v1/threads/{thread_id}?cursor=rubbish", status=400)


async def test_folders_are_made_renamed_moved_and_deleted(world: World, ask: Asking) -> None:
    work = await ask("POST", "/v1/folders", {"name": " Work "}, status=201)
    assert ask.headers["Location"] == f"/v1/folders/{work['id']}"
    assert (work["name"], work["role"], work["parent_id"]) == ("Work", "", None)
    inner = {"name": "Inner", "parent_id": work["id"]}
    child = await ask("POST", "/v1/folders", inner, status=201)
    for wrong in ({"name": "WORK"}, {"name": "a/b"}, {"name": "x", "parent_id": NOBODY}):
        assert (await ask("POST", "/v1/folders", wrong, status=409))["detail"]
    path = f"/v1/folders/{child['id']}"
    assert (await ask("PATCH", path, {"name": "Deep"}))["parent_id"] == work["id"]
    assert (await ask("PATCH", path, {"parent_id": None}))["parent_id"] is None
    await ask("PATCH", path, {}, status=400)
    await ask("PATCH", "/v1/folders/inbox", {"name": "x"}, status=409)
    await ask("PATCH", f"/v1/folders/{work['id']}", {"parent_id": work["id"]}, status=409)
    row = await world.deliver(folder_id=child["id"])
    assert await ask.listed(f"{path}/messages") == [row.message_id]
    await ask("DELETE", path, status=204)
    for method, body in (("GET", None), ("PATCH", {"name": "y"}), ("DELETE", None)):
        await ask(method, path, body, status=404)
    assert await ask.listed("/v1/folders/trash/messages") == [row.message_id]
    await ask("DELETE", "/v1/folders/inbox", status=409)


async def test_whole_folders_are_read_and_emptied(world: World, ask: Asking) -> None:
    for _ in range(3):
        await world.deliver()
    assert (await ask("POST", "/v1/folders/inbox/read"))["unread"] == 0
    assert (await ask("POST", "/v1/folders/inbox/read"))["total"] == 3
    assert (await ask("POST", "/v1/folders/inbox/empty"))["total"] == 0
    assert (await ask("POST", "/v1/folders/trash/empty"))["total"] == 0
    for order in ("read", "empty"):
        await ask("POST", f"/v1/folders/nowhere/{order}", status=404)


ORDERS = {
    "PATCH /v1/messages/{id}": {"unread": False},
    "DELETE /v1/messages/{id}": None,
    "POST /v1/folders": {"name": "Work"},
    "PATCH /v1/folders/{folder}": {"name": "Work"},
    "DELETE /v1/folders/{folder}": None,
    "POST /v1/folders/inbox/empty": None,
    "POST /v1/folders/inbox/read": None,
}


async def test_orders_not_seen_in_time_are_accepted_with_a_place(
    make_world: Callable[..., World],
) -> None:
    world = await make_world(answer_timeout_s=0.05)
    row = await world.deliver()
    ask = Asking(await world.signed())
    folder = await ask("POST", "/v1/folders", {"name": "Mine"}, status=201)
    world.mailboxes.deaf = True
    for order, body in ORDERS.items():
        method, path = order.format(id=row.message_id, folder=folder["id"]).split()
        answer = await ask(method, path, body, status=202)
        assert answer["location"] == ask.headers["Location"]
    for method, path in (("PATCH", "/v1/messages"), ("POST", "/v1/messages/delete")):
        many = {"ids": [row.message_id, NOBODY]} | ({"unread": False} if method == "PATCH" else {})
        assert await ask.outcomes(method, path, many, status=202) == ["accepted", "accepted"]
    assert world.feed.subscribers("alice") == 0
    world.mailboxes.down = True
    await ask("POST", "/v1/folders/inbox/read", status=503)
    world.mailboxes.down = False

    def away(step: str) -> None:
        raise StoreUnavailable("mail")

    world.store.fault = away
    await ask("GET", "/v1/messages", status=503)
