"""index: what is searchable, and how often a mail is read."""

import asyncio

import pytest
from msgspec.structs import replace

from agents.index import index
from agents.mailbox import mailbox
from agents.ports import IndexPorts
from mail.errors import StoreUnavailable
from mail.query.parser import parse
from mail.query.planner import plan_of
from mail.query.tree import QueryContext
from schemas.events.mailbox_events import CommandAnswered
from schemas.mail import EmailAddress, HeaderSummary
from stores.memory import MemoryContentStore, MemoryMailStore
from stores.memory.search_index import MemorySearchIndex
from tests.support.agent_builders import PLAIN, TEA, OneTry, change, deliver, mailbox_ports


@pytest.fixture
def ports() -> IndexPorts:
    return IndexPorts(
        store=MemoryMailStore(), contents=MemoryContentStore(), search=MemorySearchIndex()
    )


async def delivered(
    ports: IndexPorts, *, user_id: str = "bob", content: bytes = PLAIN, head: HeaderSummary = TEA
):
    await ports.contents.put("m1", content)
    boxes = mailbox_ports(store=ports.store)
    (event,) = await mailbox(deliver(user_id=user_id, head=head), OneTry(), boxes)
    return event


async def found(ports: IndexPorts, query: str, user_id: str = "bob") -> list[str]:
    index_query = plan_of(parse(query, QueryContext(now_ms=0)).node).index_query
    places = (await ports.search.find(user_id, index_query, limit=10)).positions
    return [message_id for _, message_id in places]


async def test_a_created_message_is_found_by_subject_and_text(ports: IndexPorts) -> None:
    event = await delivered(ports)
    await index(event, OneTry(), ports)
    await index(event, OneTry(), ports)
    assert await found(ports, "four") == [event.changes[0].message_id]
    assert await found(ports, "subject:tea") == [event.changes[0].message_id]
    assert await found(ports, "four", "ann") == []


async def test_the_text_of_an_html_mail_is_found_and_its_markup_is_not(ports: IndexPorts) -> None:
    html = b"Content-Type: text/html\r\n\r\n<style>hidden{}</style><p>Pear&amp;plum<br>jam</p>"
    await index(await delivered(ports, content=html), OneTry(), ports)
    assert await found(ports, "plum")
    assert await found(ports, "jam")
    assert not await found(ports, "hidden")
    assert not await found(ports, "style")


async def test_thirty_recipients_read_the_mail_once(ports: IndexPorts) -> None:
    reads: list[str] = []
    users = [f"u{number}" for number in range(30)]
    events = [await delivered(ports, user_id=user_id) for user_id in users]
    ports.contents.fault = reads.append
    await asyncio.gather(*(index(event, OneTry(), ports) for event in events))
    assert reads == ["get"]
    assert all([await found(ports, "four", user_id) for user_id in users])


async def test_a_read_that_failed_is_tried_again(ports: IndexPorts) -> None:
    event = await delivered(ports)

    def away(_step: str) -> None:
        raise StoreUnavailable("content")

    ports.contents.fault = away
    with pytest.raises(StoreUnavailable):
        await index(event, OneTry(), ports)
    ports.contents.fault = lambda _step: None
    await index(event, OneTry(), ports)
    assert await found(ports, "four")


async def test_destroyed_messages_go_and_others_stay(ports: IndexPorts) -> None:
    event = await delivered(ports)
    await index(event, OneTry(), ports)
    (created,) = event.changes
    gone = replace(created, change="destroyed", delivered=None)
    destroyed = replace(event, changes=(gone,))
    await index(replace(event, changes=(replace(gone, message_id="x"),)), OneTry(), ports)
    assert await found(ports, "four")
    await index(destroyed, OneTry(), ports)
    assert not await found(ports, "four")


async def test_a_message_without_a_row_is_passed_over(ports: IndexPorts) -> None:
    event = await delivered(ports)
    gone = replace(event.changes[0], message_id="gone")
    assert await index(replace(event, changes=(gone,)), OneTry(), ports) == ()
    assert await found(ports, "four") == []


async def test_changes_and_answers_do_not_touch_the_index(ports: IndexPorts) -> None:
    event = await delivered(ports)
    ports.search.down = True
    boxes = mailbox_ports(store=ports.store)
    (seen,) = await mailbox(change("c1", add=["$seen"]), OneTry(offset=1), boxes)
    answer = CommandAnswered(user_id="bob", domain_id="d1", command_id="c2", outcome="unchanged")
    assert await index(seen, OneTry(), ports) == ()
    assert await index(answer, OneTry(), ports) == ()
    with pytest.raises(StoreUnavailable):
        await index(event, OneTry(), ports)


async def test_headers_sizes_and_attachments_have_their_fields(ports: IndexPorts) -> None:
    head = replace(
        TEA, to=(EmailAddress("Bob", "b@x.example"),), cc=(EmailAddress("", "c@x.example"),),
        has_attachments=True,
    )  # fmt: skip
    event = await delivered(ports, head=head)
    await index(event, OneTry(), ports)
    (change,) = event.changes
    for query in ("to:bob", "cc:c@x.example", "has:attachment", "larger:9 smaller:11"):
        assert await found(ports, query) == [change.message_id], query
    for query in ("to:c@x.example", "cc:bob", "larger:10"):
        assert await found(ports, query) == [], query


async def test_fields_of_the_header_are_searchable(ports: IndexPorts) -> None:
    content = (
        b"From: Ann <ann@x.example>, =?utf-8?q?J=C3=B6rg?= <joerg@x.example>\r\n"
        b"Bcc: Secret <eve@x.example>\r\nList-Id: =?utf-8?q?Caf=C3=A9?= <cafe.x.example>\r\n"
        b"Date: Tue, 24 Nov 2026 23:30:00 -0800\r\n\r\nfour"
    )
    head = replace(TEA, message_id="1@x", references=("0@x",))
    event = await delivered(ports, content=content, head=head)
    await index(event, OneTry(), ports)
    (change,) = event.changes
    for query in (
        "from:jorg", "from:ann", "bcc:eve", "with:secret", "header:list-id:cafe", "header:BCC",
        "msgid:1@x", "msgid:0@x", "sent_after:2026-11-24 sent_before:2026-11-25",
        "contains:our", "subject:(contains:ea)",
    ):  # fmt: skip
        assert await found(ports, query) == [change.message_id], query
    for query in ("to:eve", "header:x-list", "header:list-id:tea", "msgid:x", "contains:fourx"):
        assert await found(ports, query) == [], query
