"""Folders, lists, messages, changes of messages, search; and invalid requests."""

import asyncio
import base64
import json
import re

import aiohttp
import pytest

from api.config import ApiConfig
from api.limits import search_time
from api.limits.search_time import SearchTime
from api.problems import Problem
from mail.errors import StoreUnavailable
from mail.mailbox.keywords import KEYWORDS_MAX
from schemas.mail import Verdict
from tests.support.edge_world import PLAIN, World

SUMMARY = {
    "id", "mail_id", "thread_id", "folder_ids", "created_seq", "changed_seq", "keywords", "from",
    "to", "subject", "preview", "date", "received_at", "size_bytes", "unread", "flagged",
    "has_attachments", "spam_score",
}  # fmt: skip
DETAIL = SUMMARY | {
    "cc", "reply_to", "message_id", "in_reply_to", "references", "headers", "text", "html",
    "attachments", "spam", "unchecked", "hops", "view", "unsubscribe",
}  # fmt: skip
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
MIXED = (
    b"From: =?utf-8?b?" + base64.b64encode("밥".encode()) + b"?= <bob@postriver.test>\r\n"
    b"To: alice@postriver.test\r\nCc: carol@elsewhere.test\r\nMessage-ID: <m1@postriver.test>\r\n"
    b"Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b"<p onclick=alert(1)>Hi</p><script>alert(1)</script><img src=x onerror=alert(1)>"
    b"<a href='javascript:alert(1)'>x</a><img src='http://evil.test/pixel.png'>\r\n"
    b"--b\r\nContent-Type: image/svg+xml\r\nContent-Transfer-Encoding: base64\r\n"
    b'Content-Disposition: attachment; filename="../../etc/pic.svg"\r\n\r\n'
    + base64.b64encode(SVG)
    + b"\r\n--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n"
    b"Content-Disposition: attachment; "
    b"filename*=utf-8''%EC%82%AC%EC%A7%84%0D%0AX-Evil:1.png\r\n\r\n"
    + base64.b64encode(b"\x89PNG data")
    + b"\r\n--b--\r\n"
)


async def get(client, path: str) -> dict:
    async with client.get(path) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def test_folders_come_in_their_order_with_counts(world: World) -> None:
    await world.deliver()
    await world.deliver(folder_id="junk")
    folders = (await get(await world.signed(), "/v1/folders"))["folders"]
    assert [folder["id"] for folder in folders] == [
        "inbox",
        "sent",
        "drafts",
        "junk",
        "trash",
        "archive",
    ]
    assert folders[0] == {
        "id": "inbox",
        "name": "Inbox",
        "role": "inbox",
        "parent_id": None,
        "total": 1,
        "unread": 1,
        "threads": 1,
        "unread_threads": 1,
        "size_bytes": folders[0]["size_bytes"],
        "subscribed": True,
        "sort_order": 0,
    }
    assert folders[0]["size_bytes"] > 0


async def test_a_summary_has_what_lists_show(world: World) -> None:
    row = await world.deliver(MIXED, at_ms=1_767_225_600_007)
    page = await get(await world.signed(), "/v1/folders/inbox/messages")
    (summary,) = page["messages"]
    assert set(summary) == SUMMARY
    assert page["next_cursor"] is None
    assert summary["id"] == row.message_id
    assert summary["from"] == {"name": "밥", "address": "bob@postriver.test"}
    assert summary["to"] == [{"name": "", "address": "alice@postriver.test"}]
    assert summary["received_at"] == "2026-01-01T00:00:00.007Z"
    assert (summary["unread"], summary["flagged"], summary["keywords"]) == (True, False, [])
    assert (summary["folder_ids"], summary["size_bytes"]) == (["inbox"], len(MIXED))
    assert summary["spam_score"] == 1.5


@pytest.mark.parametrize(
    ("field", "date"),
    [
        (b"Date: Thu, 1 Jan 2026 12:00:00 +0900\r\n", "2026-01-01T03:00:00.000Z"),
        (b"Date: Thu, 1 Jan 1903 12:00:00 +0000\r\n", "1903-01-01T12:00:00.000Z"),
        (b"Date: Fri, 31 Dec 9999 23:59:59 -1200\r\n", None),
        (b"Date: soon\r\n", None),
        (b"", None),
    ],
)
async def test_the_date_that_a_mail_claims_is_shown(world: World, field: bytes, date) -> None:
    row = await world.deliver(field + PLAIN % b"late")
    client = await world.signed()
    (summary,) = (await get(client, "/v1/messages"))["messages"]
    assert summary["date"] == (await get(client, f"/v1/messages/{row.message_id}"))["date"] == date


async def test_a_mail_without_a_sender_still_has_one_in_its_summary(world: World) -> None:
    await world.deliver(b"\r\nnothing but a body")
    (summary,) = (await get(await world.signed(), "/v1/folders/inbox/messages"))["messages"]
    assert summary["from"] == {"name": "", "address": ""}


async def test_pages_are_whole_and_stable_while_mail_arrives(world: World) -> None:
    rows = [await world.deliver(PLAIN % b"n", at_ms=1000 + at // 2) for at in range(7)]
    client = await world.signed()
    expected = sorted(rows, key=lambda row: (row.received_at_ms, row.message_id), reverse=True)
    ids, cursor = [], ""
    while cursor is not None:
        page = await get(
            client, f"/v1/folders/inbox/messages?limit=2{cursor and '&cursor='}{cursor}"
        )
        ids += [message["id"] for message in page["messages"]]
        cursor = page["next_cursor"]
        await world.deliver(at_ms=9999)
    assert ids == [row.message_id for row in expected]


async def test_unread_filters(world: World) -> None:
    first, second = await world.deliver(at_ms=1), await world.deliver(at_ms=2)
    client = await world.signed()
    async with client.patch(f"/v1/messages/{first.message_id}", json={"unread": False}) as response:
        assert response.status == 200
    for unread, row in (("true", second), ("false", first)):
        page = await get(client, f"/v1/folders/inbox/messages?unread={unread}")
        assert [message["id"] for message in page["messages"]] == [row.message_id]


@pytest.mark.parametrize(
    ("path", "code", "place"),
    [
        ("/v1/folders/inbox/messages?limit=0", "bad_limit", "query:limit"),
        ("/v1/folders/inbox/messages?limit=501", "bad_limit", "query:limit"),
        ("/v1/folders/inbox/messages?limit=-1", "bad_limit", "query:limit"),
        ("/v1/folders/inbox/messages?limit=٣", "bad_limit", "query:limit"),
        ("/v1/folders/inbox/messages?limit=", "bad_limit", "query:limit"),
        ("/v1/folders/inbox/messages?unread=yes", "bad_unread", "query:unread"),
        ("/v1/folders/inbox/messages?cursor=rubbish", "bad_cursor", "query:cursor"),
        ("/v1/folders/inbox/messages?cursor=", "bad_cursor", "query:cursor"),
        ("/v1/folders/inbox/messages?cursor=" + "a" * 600, "bad_cursor", "query:cursor"),
        ("/v1/folders/inbox/messages?limit=1&limit=2", "repeated_parameter", "query:limit"),
        ("/v1/folders/inbox/messages?page=2", "unknown_parameter", "query:page"),
        ("/v1/folders?x=", "unknown_parameter", "query:x"),
        ("/v1/search", "bad_query", "query:q"),
        ("/v1/search?q=" + "a" * 1001, "bad_query", "query:q"),
        ("/v1/search?q=hello&cursor=rubbish", "bad_cursor", "query:cursor"),
        ('/v1/search?q=hello "open', "bad_query", "query:q"),
        ("/v1/search?q=in:nowhere", "bad_query", "query:q"),
        ("/v1/search?q=a&order=size", "bad_order", "query:order"),
        ("/v1/search?q=a&tz=Mars/Olympus", "bad_time_zone", "query:tz"),
        ("/v1/search?q=a&tz=", "bad_time_zone", "query:tz"),
    ],
)
async def test_a_bad_question_is_told_where(world: World, path, code, place) -> None:
    async with (await world.signed()).get(path) as response:
        body = await response.json(content_type="application/problem+json")
    assert (response.status, body["code"], body["place"]) == (400, code, place)
    assert body["title"] == "Bad Request"
    assert body["detail"]


async def test_a_cursor_belongs_to_its_list(world: World) -> None:
    for at in range(3):
        await world.deliver(at_ms=at + 1)
    client = await world.signed()
    cursor = (await get(client, "/v1/folders/inbox/messages?limit=1"))["next_cursor"]
    async with client.get(f"/v1/folders/junk/messages?cursor={cursor}") as response:
        assert (response.status, (await response.json())["code"]) == (400, "bad_cursor")


async def test_a_bad_search_is_told_the_position(world: World) -> None:
    async with (await world.signed()).get("/v1/search", params={"q": 'ab "open'}) as response:
        assert (await response.json())["position"] == 3


async def test_searches_of_one_user_take_turns_and_a_share_of_the_time() -> None:
    now_s = [1_000.0]
    turns = SearchTime(ApiConfig(searches_per_user=2, search_s_per_minute=3.0), lambda: now_s[0])
    under_way, most = 0, 0

    async def run_search(user_id: str) -> None:
        nonlocal under_way, most
        async with turns.turn(user_id) as budget:
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1
            budget.spend(2.0)

    outcomes = await asyncio.gather(*(run_search("ann") for _ in range(3)), return_exceptions=True)
    refused = [each for each in outcomes if isinstance(each, Problem)]
    assert (most, [each.status for each in refused]) == (1, [429])
    with pytest.raises(Problem) as caught:
        await run_search("ann")
    assert caught.value.headers["Retry-After"] == "20"
    await run_search("bob")
    now_s[0] += 20.5
    await run_search("ann")


async def test_a_search_without_an_answer_ends_and_is_charged_as_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As while the search engine is frozen: the user may search again when it is back."""
    monkeypatch.setattr(search_time, "ANSWER_MAX_S", 0.01)
    turns = SearchTime(ApiConfig(search_s_per_minute=3.0), lambda: 1_000.0)

    async def search() -> None:
        async with turns.turn("ann") as budget:
            budget.spend(30.0)
            await asyncio.sleep(60)

    with pytest.raises(StoreUnavailable, match="no answer"):
        await search()
    async with turns.turn("ann") as budget:
        assert budget.spent_s == 0


async def test_a_search_that_takes_too_long_is_told_what_helps(world: World) -> None:
    await world.deliver(PLAIN % b"otter")
    world.search.slow_s = 9.0
    async with (await world.signed()).get("/v1/search", params={"q": "otter"}) as response:
        problem = await response.json()
    assert (response.status, problem["code"]) == (400, "search_too_broad")
    assert (problem["place"], "dates" in problem["detail"]) == ("query:q", True)


async def test_search_gives_rows_newest_first_and_drops_hits_without_one(world: World) -> None:
    rows = [await world.deliver(PLAIN % b"otter <b>", at_ms=at) for at in (1, 2, 3)]
    await world.deliver(PLAIN % b"heron")
    client = await world.signed()
    first = await get(client, "/v1/search?q=subject:otter&limit=2")
    assert [message["id"] for message in first["messages"]] == [
        rows[2].message_id,
        rows[1].message_id,
    ]
    assert (first["total"], first["total_is_exact"]) == (3, True)
    marked = {"subject": "<mark>otter</mark> &lt;b&gt;", "preview": None}
    assert set(first["messages"][0]) == SUMMARY | {"highlights"}
    assert first["messages"][0]["highlights"] == marked
    rest = await get(client, f"/v1/search?q=subject:otter&limit=2&cursor={first['next_cursor']}")
    assert [message["id"] for message in rest["messages"]] == [rows[0].message_id]
    assert rest["next_cursor"] is None
    world.store._mailboxes["alice"].messages.pop(rows[2].message_id)
    again = await get(client, "/v1/search?q=subject:otter")
    assert [message["id"] for message in again["messages"]] == [
        rows[1].message_id,
        rows[0].message_id,
    ]


async def test_search_knows_zones_orders_and_what_changes(world: World) -> None:
    midnight_in_seoul_ms = 1_767_193_200_000  # 2026-01-01
    early = await world.deliver(PLAIN % b"otter", at_ms=midnight_in_seoul_ms - 1)
    late = await world.deliver(
        PLAIN.replace(b"Hello", b"no otter") % b"heron", at_ms=midnight_in_seoul_ms
    )
    client = await world.signed()

    async def search_ids(**params: str) -> list[str]:
        async with client.get("/v1/search", params=params) as response:
            assert response.status == 200, await response.text()
            return [message["id"] for message in (await response.json())["messages"]]

    assert await search_ids(q="otter") == [late.message_id, early.message_id]
    assert await search_ids(q="otter", order="relevance") == [early.message_id, late.message_id]
    assert await search_ids(q="otter after:2026-01-01", tz="Asia/Seoul") == [late.message_id]
    assert await search_ids(q="otter after:2026-01-01") == []
    async with client.patch(f"/v1/messages/{late.message_id}", json={"flagged": True}) as response:
        assert response.status == 200
    assert await search_ids(q="otter is:flagged in:Inbox") == [late.message_id]


async def test_reading_gives_everything_and_nothing_that_runs(world: World) -> None:
    row = await world.deliver(MIXED)
    detail = await get(await world.signed(), f"/v1/messages/{row.message_id}")
    assert set(detail) == DETAIL
    assert detail["cc"] == [{"name": "", "address": "carol@elsewhere.test"}]
    assert detail["message_id"] == "m1@postriver.test"
    assert {"name": "Subject", "value": "parts"} in detail["headers"]
    assert detail["spam"] == {"score": 1.5, "tests": ["HTML_MESSAGE"]}
    assert detail["hops"] == [
        {"stage": "scan", "started_at": "2026-01-01T00:00:00.123Z", "took_ms": 12.5,
         "verdict": "clean", "attempt": 1, "worker": "w1"}
    ]  # fmt: skip
    assert "Hi" in detail["html"]
    active = r"(?i)script|onerror|onclick|http://evil"
    assert not re.search(active, detail["html"])
    assert [part["size_bytes"] for part in detail["attachments"]] == [len(SVG), 9]


async def test_a_plain_mail_has_no_html(world: World) -> None:
    row = await world.deliver()
    detail = await get(await world.signed(), f"/v1/messages/{row.message_id}")
    assert (detail["text"].strip(), detail["html"], detail["attachments"]) == ("Hello", None, [])


@pytest.mark.parametrize("size_bytes", [500, 200_000, 20_000_000])
async def test_raw_is_byte_for_byte_and_no_page_of_ours(world: World, size_bytes: int) -> None:
    content = b"Subject: \xff\r\n\r\n" + b"0123456789\0\r\r\n" * (size_bytes // 14)
    row = await world.deliver(content)
    path = f"/v1/messages/{row.message_id}/raw"
    client = await world.signed()
    async with client.get(path) as response:
        assert await response.read() == content
        assert response.headers["Content-Type"] == "message/rfc822"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Disposition"].startswith("attachment; ")
        assert "sandbox" in response.headers["Content-Security-Policy"]
    async with client.head(path) as response:
        assert int(response.headers["Content-Length"]) == len(content)


async def test_text_has_an_end_and_the_raw_mail_the_rest(make_world) -> None:
    world = await make_world(text_max_chars=10)
    row = await world.deliver(PLAIN % b"long" + b"0123456789" * 3)
    detail = await get(await world.signed(), f"/v1/messages/{row.message_id}")
    assert detail["text"].startswith("Hello")
    assert detail["text"].endswith("[The rest is in the raw message.]")
    assert "0123456789" not in detail["text"]


async def test_a_peer_that_takes_nothing_has_its_slot_taken_back(make_world) -> None:
    world = await make_world(
        downloads_per_user=1, download_stall_s=0.3, download_least_bytes_per_s=10_000_000
    )
    row = await world.deliver(PLAIN % b"big" + b"x" * 20_000_000)
    path = f"/v1/messages/{row.message_id}/raw"
    client = await world.signed()
    async with client.get(path) as stalled:
        async with client.get(path) as response:
            assert response.status == 429
        await asyncio.sleep(0.6)
        with pytest.raises(aiohttp.ClientError):
            await stalled.read()
    async with client.get(path) as response:
        assert len(await response.read()) == row.content.size_bytes


async def test_a_reader_learns_what_no_scanner_looked_into(world: World) -> None:
    verdicts = [Verdict(outcome="clean", unchecked=what) for what in (("encrypted",), ("parts",))]
    marked, beyond = [await world.deliver(MIXED, verdict=verdict) for verdict in verdicts]
    client = await world.signed()
    detail = await get(client, f"/v1/messages/{marked.message_id}")
    assert (detail["unchecked"], len(detail["attachments"])) == (["encrypted"], 2)
    detail = await get(client, f"/v1/messages/{beyond.message_id}")
    assert (detail["unchecked"], detail["attachments"]) == (["parts"], [])
    async with client.get(f"/v1/messages/{beyond.message_id}/attachments/1") as response:
        assert response.status == 404
    async with client.get(f"/v1/messages/{beyond.message_id}/raw") as response:
        assert await response.read() == MIXED


async def test_attachments_are_saved_not_shown_whatever_they_say_they_are(world: World) -> None:
    row = await world.deliver(MIXED)
    client = await world.signed()
    detail = await get(client, f"/v1/messages/{row.message_id}")
    svg, png = (
        f"/v1/messages/{row.message_id}/attachments/{part['n']}" for part in detail["attachments"]
    )
    async with client.get(svg) as response:
        assert await response.read() == SVG
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert 'attachment; filename="pic.svg"' in response.headers["Content-Disposition"]
        assert "sandbox" in response.headers["Content-Security-Policy"]
    async with client.get(png) as response:
        assert await response.read() == b"\x89PNG data"
        assert response.headers["Content-Type"] == "image/png"
        disposition = response.headers["Content-Disposition"]
        assert "X-Evil" not in response.headers
        assert re.fullmatch(
            r"attachment; filename=\"[ -~]*\"; filename\*=UTF-8''[ -~]*", disposition
        )
        assert "%EC%82%AC%EC%A7%84" in disposition
    for n in ("99", "-1", "x", "1e3", "٣"):
        async with client.get(f"/v1/messages/{row.message_id}/attachments/{n}") as response:
            assert response.status == 404


async def test_a_change_is_seen_everywhere_once_it_is_answered(world: World) -> None:
    row = await world.deliver()
    client = await world.signed()
    path = f"/v1/messages/{row.message_id}"
    async with client.patch(path, json={"unread": False, "flagged": True}) as response:
        assert response.status == 200
        answer = await response.json()
    assert set(answer) == SUMMARY
    assert (answer["unread"], answer["flagged"]) == (False, True)
    assert answer["keywords"] == ["$flagged", "$seen"]
    assert answer["changed_seq"] == 2
    assert (await get(client, "/v1/folders"))["folders"][0]["unread"] == 0
    assert (await get(client, "/v1/folders/inbox/messages"))["messages"] == [answer]
    async with client.patch(path, json={"flagged": False}) as response:
        assert (await response.json())["keywords"] == ["$seen"]
    assert world.feed.subscribers("alice") == 0


async def test_a_change_that_is_one_already_is_answered_too(world: World) -> None:
    row = await world.deliver()
    client = await world.signed()
    async with client.patch(f"/v1/messages/{row.message_id}", json={"unread": True}) as response:
        assert response.status == 200
        assert (await response.json())["changed_seq"] == 1
    assert len(world.mailboxes.commands) == 1


async def test_a_change_not_seen_in_time_is_accepted_with_a_place(make_world) -> None:
    world = await make_world(answer_timeout_s=0.05)
    row = await world.deliver()
    world.mailboxes.deaf = True
    client = await world.signed()
    path = f"/v1/messages/{row.message_id}"
    async with client.patch(path, json={"unread": False}) as response:
        assert response.status == 202
        assert response.headers["Location"] == path
    assert world.feed.subscribers("alice") == 0


async def test_a_message_that_can_have_no_more_keywords_is_refused_one(world: World) -> None:
    row = await world.deliver(keywords=tuple(f"k{n}" for n in range(KEYWORDS_MAX)))
    client = await world.signed()
    async with client.patch(f"/v1/messages/{row.message_id}", json={"flagged": True}) as response:
        assert (response.status, (await response.json())["code"]) == (409, "refused")


@pytest.mark.parametrize(
    ("body", "kind", "status", "code", "place"),
    [
        (b"{}", "application/json", 400, "nothing_to_change", "$"),
        (b'{"unread": "no"}', "application/json", 400, "invalid_body", "$.unread"),
        (b'{"unread": null}', "application/json", 400, "invalid_body", "$.unread"),
        (b'{"unread": false, "seen": 1}', "application/json", 400, "invalid_body", "$"),
        (b"[]", "application/json", 400, "invalid_body", "$"),
        (b'{"unread": fal', "application/json", 400, "invalid_json", "body"),
        (b"", "application/json", 400, "invalid_json", "body"),
        (b'{"unread": false, "flagged": tru\xff', "application/json", 400, "invalid_json", "body"),
        (b'{"unread": false}', "text/plain", 415, "unsupported_media_type", None),
        (b" " * 70_000, "application/json", 413, "too_large", None),
    ],
)
async def test_a_bad_body_is_told_where(world, body, kind, status, code, place) -> None:
    row = await world.deliver()
    client = await world.signed()
    headers = {"Content-Type": kind}
    path = f"/v1/messages/{row.message_id}"
    async with client.patch(path, data=body, headers=headers) as response:
        problem = json.loads(await response.read())
        assert response.content_type == "application/problem+json"
    assert (response.status, problem["code"], problem.get("place")) == (status, code, place)
    assert world.mailboxes.commands == []


async def test_many_changes_at_once_are_each_answered(world: World) -> None:
    rows = [await world.deliver() for _ in range(10)]
    client = await world.signed()

    async def read(id_: str) -> int:
        async with client.patch(f"/v1/messages/{id_}", json={"unread": False}) as response:
            return response.status

    statuses = await asyncio.gather(*(read(row.message_id) for row in rows))
    assert statuses == [200] * 10
    inbox = (await get(client, "/v1/folders"))["folders"][0]
    assert (inbox["id"], inbox["total"], inbox["unread"]) == ("inbox", 10, 0)


async def test_an_engine_that_is_away_is_503_and_comes_back(world: World) -> None:
    row = await world.deliver()
    client = await world.signed()
    path = f"/v1/messages/{row.message_id}"

    def away(step: str) -> None:
        raise StoreUnavailable("sqlite", "/secret/path: disk I/O error")

    world.store.fault = away
    async with client.get(path) as response:
        assert response.status == 503
        assert int(response.headers["Retry-After"]) > 0
        assert "secret" not in await response.text()
    world.store.fault = lambda step: None
    world.mailboxes.down = True
    async with client.patch(path, json={"unread": False}) as response:
        assert response.status == 503
    world.mailboxes.down = False
    assert (await get(client, path))["unread"] is True
