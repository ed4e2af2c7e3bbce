"""/v1/drafts: every field is saved and read again; versions, repeats, conflicts, faults."""

import base64
from typing import Any

import aiohttp
import pytest

from mail.ids import new_id
from mail.mime.message_parser import read_head
from scanners.memory import EICAR
from schemas.directory import Alias
from schemas.events.mailbox_commands import ChangeMessages
from schemas.user_settings import SenderIdentity
from tests.api.rest.test_settings import a_command, ask
from tests.support.edge_world import World

PNG = base64.b64encode(b"\x89PNG picture").decode()
UNKNOWN = "00000000-0000-4000-8000-000000000000"
WHOLE: dict[str, Any] = {
    "to": ["Bob <bob@example.org>", {"address": "하늘@예시.한국", "name": '김, "하늘"'}],
    "cc": [{"address": "carol@example.org"}],
    "bcc": ["dave@example.org"],
    "reply_to": ["alice+answers@postriver.test"],
    "subject": "회의 (today)",
    "text": "plain \n\n-- \nAlice",
    "html": '<p>bold <b>text</b> <img src="cid:image1" alt="x"></p>',
    "attachments": [
        {"content_base64": base64.b64encode(b"abc").decode(), "filename": "한글.txt",
         "content_type": "text/plain"},
        {"content_base64": PNG, "filename": "p.png", "content_type": "image/png", "inline": True,
         "content_id": "image1"},
    ],
    "headers": {"X-Mailer": "test 1", "Importance": "high"},
}  # fmt: skip


async def octets_of(world: World, message_id: str) -> bytes:
    row = await world.store.message("alice", message_id)
    assert row
    return await world.contents.get(row.content.ref)


async def saved(client: aiohttp.ClientSession, **values: Any) -> dict[str, Any]:
    status, draft = await ask(client, "POST", "/v1/drafts", values)
    assert status == 201, draft
    return draft


async def get(client: aiohttp.ClientSession, draft_id: str) -> dict[str, Any]:
    status, draft = await ask(client, "GET", f"/v1/drafts/{draft_id}")
    assert status == 200, draft
    return draft


async def test_every_field_can_be_read_again(world: World) -> None:
    alice, original = await world.signed(), await world.deliver()
    quote = {"message_id": original.message_id, "kind": "reply", "include": "text"}
    new = await saved(
        alice, **WHOLE, in_reply_to=original.message_id, quote=quote, client_id="tab-1"
    )
    draft = await get(alice, new["id"])
    assert draft["from"] == {"name": "", "address": "alice@postriver.test"}
    assert draft["to"] == [
        {"name": "Bob", "address": "bob@example.org"},
        {"name": '김, "하늘"', "address": "하늘@xn--vv4b11d.xn--3e0b707e"},
    ]
    assert [one["address"] for one in draft["bcc"]] == ["dave@example.org"]
    assert draft["reply_to"] == [{"name": "", "address": "alice+answers@postriver.test"}]
    same = ("subject", "text", "headers")
    assert {name: draft[name] for name in same} == {name: WHOLE[name] for name in same}
    assert draft["html"] == (
        '<p>bold <b>text</b> <img src="cid:image1@postriver.test" alt="x"></p>'
    )
    assert draft["attachments"] == [
        {"n": 1, "upload_id": None, "filename": "p.png", "content_type": "image/png",
         "size_bytes": 12, "inline": True, "content_id": "image1@postriver.test"},
        {"n": 2, "upload_id": None, "filename": "한글.txt", "content_type": "text/plain",
         "size_bytes": 3, "inline": False, "content_id": None},
    ]  # fmt: skip
    assert (draft["in_reply_to"], draft["quote"]) == (original.message_id, quote)
    assert (draft["client_id"], draft["forward_of"]) == ("tab-1", None)
    head = read_head(await octets_of(world, new["message_id"]))
    assert head.message_id == f"{new['id']}@postriver.test"


async def test_what_was_read_can_be_saved_and_is_the_same(world: World) -> None:
    alice = await world.signed()
    new = await saved(alice, **WHOLE)
    first = await get(alice, new["id"])
    answered = {"id", "message_id", "changed_seq", "saved_at"}
    again = {name: value for name, value in first.items() if name not in answered}
    again["attachments"] = [
        {name: one[name] for name in ("n", "inline", "content_id")} for one in first["attachments"]
    ]
    status, second = await ask(alice, "PUT", f"/v1/drafts/{new['id']}", again)
    assert (status, second["id"]) == (200, new["id"])
    assert second["message_id"] != new["message_id"]
    read = await get(alice, new["id"])
    assert {name: read[name] for name in again} == {name: first[name] for name in again}
    _, page = await ask(alice, "GET", "/v1/drafts")
    assert [(row["id"], row["message"]["id"]) for row in page["drafts"]] == [
        (new["id"], second["message_id"])
    ]
    assert page["drafts"][0]["message"]["keywords"] == ["$draft", "$seen"]


async def test_text_is_made_of_the_html_and_that_is_known(world: World) -> None:
    alice = await world.signed()
    new = await saved(alice, html="<p>one</p>")
    draft = await get(alice, new["id"])
    assert (draft["text"], draft["html"]) == (None, "<p>one</p>")
    assert b"\r\n\r\none\r\n" in await octets_of(world, new["message_id"])
    empty = await get(alice, (await saved(alice))["id"])
    assert (empty["text"], empty["html"], empty["to"], empty["subject"]) == ("", None, [], "")


async def test_a_client_id_names_one_draft(world: World) -> None:
    alice = await world.signed()
    first = await saved(alice, subject="one", client_id="tab-1")
    status, again = await ask(alice, "POST", "/v1/drafts", {"subject": "one", "client_id": "tab-1"})
    assert (status, again) == (200, first)
    path = f"/v1/drafts/{first['id']}"
    _, newer = await ask(alice, "PUT", path, {"subject": "two"})
    assert (await ask(alice, "POST", "/v1/drafts", {"client_id": "tab-1"})) == (200, newer)
    assert (await ask(alice, "DELETE", path))[0] == 204
    status, gone = await ask(alice, "POST", "/v1/drafts", {"client_id": "tab-1"})
    assert (status, gone["code"]) == (409, "refused")
    bob = await world.signed("bob")
    assert (await saved(bob, client_id="tab-1"))["id"] != first["id"]


async def test_a_stale_version_is_not_saved_or_deleted(world: World) -> None:
    alice = await world.signed()
    first = await saved(alice, subject="one")
    path = f"/v1/drafts/{first['id']}"
    tag = {"If-Match": f'"1-{first["changed_seq"]}"'}
    status, second = await ask(alice, "PUT", path, {"subject": "two"}, **tag)
    assert status == 200
    status, problem = await ask(alice, "PUT", path, {"subject": "three"}, **tag)
    assert (status, problem["code"]) == (412, "changed_meanwhile")
    assert (await ask(alice, "DELETE", path, **tag))[0] == 412
    assert (await get(alice, first["id"]))["subject"] == "two"
    newest = f'"1-{second["changed_seq"]}"'
    async with alice.get(path, headers={"If-None-Match": newest}) as response:
        assert response.status == 304
    assert (await ask(alice, "DELETE", path, **{"If-Match": newest}))[0] == 204
    assert (await ask(alice, "GET", path))[0] == 404
    assert (await ask(alice, "PUT", path, {}))[0] == 404
    assert (await ask(alice, "GET", "/v1/drafts"))[1]["drafts"] == []


async def test_a_save_that_another_change_overtakes_is_refused(world: World) -> None:
    alice = await world.signed()
    first = await saved(alice, subject="one")
    overtaking = ChangeMessages(
        command_id=new_id(), user_id="alice", domain_id="d", at_ms=1,
        message_ids=(first["message_id"],), add_keywords=("work",),
    )  # fmt: skip
    world.mailboxes.ahead = [overtaking]
    status, problem = await ask(alice, "PUT", f"/v1/drafts/{first['id']}", {"subject": "two"})
    assert (status, problem["code"]) == (409, "changed_meanwhile")
    assert (await get(alice, first["id"]))["subject"] == "one"
    assert (await world.store.load("alice")).usage.messages == 1


async def test_a_message_in_drafts_of_another_program_is_a_draft(world: World) -> None:
    alice = await world.signed()
    content = (
        b"From: alice@postriver.test\r\nTo: Bob <bob@example.org>\r\nBcc: x@example.org\r\n"
        b"Subject: from a phone\r\nX-Spam-Status: No\r\nX-Postriver-Draft: junk\r\n\r\nhello\r\n"
    )
    row = await world.deliver(content, folder_id="drafts", keywords=("$draft",))
    draft = await get(alice, row.message_id)
    assert (draft["subject"], draft["text"]) == ("from a phone", "hello")
    assert draft["bcc"] == [{"name": "", "address": "x@example.org"}]
    assert draft["headers"] == {}
    path = f"/v1/drafts/{row.message_id}"
    _, second = await ask(alice, "PUT", path, {"subject": "on the web"})
    _, third = await ask(alice, "PUT", path, {"subject": "again"})
    assert second["id"] == third["id"] == row.message_id
    assert (await get(alice, row.message_id))["subject"] == "again"
    assert len((await ask(alice, "GET", "/v1/drafts"))[1]["drafts"]) == 1


async def test_messages_elsewhere_and_of_others_are_no_drafts(world: World) -> None:
    alice, bob = await world.signed(), await world.signed("bob")
    row = await world.deliver()
    for path in (f"/v1/drafts/{row.message_id}", f"/v1/drafts/{UNKNOWN}", "/v1/drafts/x"):
        for method in ("GET", "DELETE"):
            assert (await ask(alice, method, path))[0] == 404
        assert (await ask(alice, "PUT", path, {}))[0] == 404
    new = await saved(alice, subject="mine")
    assert (await ask(bob, "GET", f"/v1/drafts/{new['id']}"))[0] == 404
    attachment = {"message_id": new["message_id"]}
    status, problem = await ask(bob, "POST", "/v1/drafts", {"attachments": [attachment]})
    assert (status, problem["place"]) == (422, "attachments[0].message_id")


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"to": ["bob@example.org", "bob"]}, "to[1]"),
        ({"cc": [{"address": "bob"}]}, "cc[0].address"),
        ({"bcc": ["Friends: a@example.org;"]}, "bcc[0]"),
        ({"to": ["a@example.org"] * 101}, "to"),
        ({"from": "bob@postriver.test"}, "from.address"),
        ({"from": "team@postriver.test"}, "from.address"),
        ({"from": "alice+bob@postriver.test"}, "from.address"),
        ({"identity_id": UNKNOWN}, "identity_id"),
        ({"subject": "a\r\nBcc: x@example.org"}, "subject"),
        ({"html": "<img src=cid:none>"}, "html"),
        ({"html": "<b>" * 20_001}, "html"),
        ({"attachments": [{}]}, "attachments[0]"),
        ({"attachments": [{"upload_id": UNKNOWN, "n": 1}]}, "attachments[0]"),
        ({"attachments": [{"upload_id": UNKNOWN}]}, "attachments[0].upload_id"),
        ({"attachments": [{"content_base64": "a"}]}, "attachments[0].content_base64"),
        ({"attachments": [{"n": 1}]}, "attachments[0].n"),
        ({"attachments": [{"message_id": UNKNOWN, "n": 1}]}, "attachments[0].message_id"),
        ({"headers": {"Received": "x"}}, "headers.Received"),
        ({"in_reply_to": UNKNOWN}, "in_reply_to"),
        ({"forward_of": UNKNOWN}, "forward_of"),
        ({"quote": {"message_id": UNKNOWN}}, "quote.message_id"),
    ],
)
async def test_a_fault_names_its_place(world: World, values: dict[str, Any], place: str) -> None:
    for address, target, is_group in (
        ("team@postriver.test", "alice@postriver.test", True),
        ("alice+bob@postriver.test", "bob@postriver.test", False),
    ):
        await world.directory.add_alias(
            Alias(address=address, domain_id="d", is_group=is_group, targets=(target,),
                  created_at_ms=1)
        )  # fmt: skip
    status, problem = await ask(await world.signed(), "POST", "/v1/drafts", values)
    assert (status, problem["code"], problem["place"]) == (422, "invalid_mail", place)
    assert (await world.store.load("alice")).usage.messages == 0


async def test_identities_and_own_addresses_are_senders(world: World) -> None:
    identity = SenderIdentity(
        id=new_id(), name="Sales", address="alice+sales@postriver.test", is_default=True,
        reply_to="answers@example.org",
    )  # fmt: skip
    await world.mailboxes.publish(a_command(identities=(identity,)))
    alice = await world.signed()
    draft = await get(alice, (await saved(alice, identity_id=identity.id))["id"])
    assert draft["from"] == {"name": "Sales", "address": "alice+sales@postriver.test"}
    assert (draft["identity_id"], draft["reply_to"]) == (identity.id, [])
    draft = await get(alice, (await saved(alice, **{"from": "Al <alice@postriver.test>"}))["id"])
    assert draft["from"] == {"name": "Al", "address": "alice@postriver.test"}


async def test_parts_and_whole_messages_are_attached(world: World) -> None:
    alice = await world.signed()
    first = await saved(alice, **WHOLE)
    source = first["message_id"]
    new = await saved(
        alice,
        attachments=[{"message_id": source, "n": 2}, {"message_id": source, "filename": "all.eml"}],
    )
    files = [
        (one["filename"], one["content_type"], one["size_bytes"])
        for one in (await get(alice, new["id"]))["attachments"]
    ]
    size = len(await octets_of(world, source))
    assert files == [("한글.txt", "text/plain", 3), ("all.eml", "application/octet-stream", size)]
    status, problem = await ask(
        alice, "POST", "/v1/drafts", {"attachments": [{"message_id": source, "n": 9}]}
    )
    assert (status, problem["place"]) == (422, "attachments[0].n")


async def test_uploads_are_attached_and_outlive_their_end(world: World) -> None:
    alice = await world.signed()
    named = {"Content-Type": "image/png", "Content-Disposition": "attachment; filename=p.png"}
    async with alice.post("/v1/uploads", data=b"picture", headers=named) as response:
        upload = (await response.json())["id"]
    body = {
        "attachments": [
            {"content_base64": PNG, "filename": "z.png"},
            {"upload_id": upload, "content_id": "one", "inline": True},
        ],
        "html": "<img src=cid:one>",
    }
    new = await saved(alice, **body)
    expected = {
        "n": 1, "upload_id": upload, "filename": "p.png", "content_type": "image/png",
        "size_bytes": 7, "inline": True, "content_id": "one@postriver.test",
    }  # fmt: skip
    assert (await get(alice, new["id"]))["attachments"][0] == expected
    assert (await ask(alice, "DELETE", f"/v1/uploads/{upload}"))[0] == 204
    path = f"/v1/drafts/{new['id']}"
    assert (await ask(alice, "PUT", path, body))[0] == 200
    assert (await get(alice, new["id"]))["attachments"][0] == expected
    status, problem = await ask(alice, "POST", "/v1/drafts", body)
    assert (status, problem["place"]) == (422, "attachments[1].upload_id")
    bob = await world.signed("bob")
    async with bob.post("/v1/uploads", data=b"x") as response:
        of_bob = (await response.json())["id"]
    status, problem = await ask(
        alice, "POST", "/v1/drafts", {"attachments": [{"upload_id": of_bob}]}
    )
    assert (status, problem["place"]) == (422, "attachments[0].upload_id")


async def test_large_bodies_are_read_and_larger_ones_are_not(make_world) -> None:
    world = await make_world(compose_body_max_bytes=200_000, message_max_bytes=150_000)
    alice = await world.signed()
    new = await saved(alice, text="x" * 100_000)
    assert len((await get(alice, new["id"]))["text"]) == 100_000
    status, problem = await ask(alice, "POST", "/v1/drafts", {"text": "x" * 200_000})
    assert (status, problem["code"]) == (413, "too_large")
    status, problem = await ask(alice, "POST", "/v1/drafts", {"text": "x" * 160_000})
    assert (status, problem["place"]) == (422, "text")
    assert (await ask(alice, "PATCH", "/v1/me/settings", {"language": "x" * 70_000}))[0] == 413


async def test_an_infected_file_is_refused(world: World) -> None:
    alice = await world.signed()
    file = {"content_base64": base64.b64encode(EICAR).decode(), "filename": "a.bin"}
    status, problem = await ask(alice, "POST", "/v1/drafts", {"attachments": [file]})
    assert (status, problem["code"]) == (422, "infected")
