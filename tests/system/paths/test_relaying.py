"""Mail that leaves the stack: to a scripted mail host on 127.0.0.1 that the test's DNS names."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mail.clock import now_ms
from mail.ids import new_id
from schemas.content import Inline
from schemas.events.sending import Submit
from schemas.submissions import RequestedRecipient, SubmittedMail
from stores.sqlite.database_file import SqliteConfig
from stores.sqlite.directory.store import SqliteDirectory
from streams.config import PublisherConfig
from streams.publisher import KafkaPublisher
from tests.support.dns_server import DnsServer
from tests.support.dns_server import serving as dns_serving
from tests.support.smtp_peer import SmtpPeer, peer_serving
from tests.support.stack_world import Client, World, world

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
FROM = "ann@postriver.test"
MAIL = (
    f"From: Ann <{FROM}>\r\nTo: bob@far.example\r\nSubject: Tea\r\n"
    "Message-ID: <tea@postriver.test>\r\n\r\nAt four?\r\n"
).encode()


@pytest.fixture
async def peer() -> AsyncIterator[SmtpPeer]:
    async with peer_serving() as serving:
        yield serving


@pytest.fixture
async def names() -> AsyncIterator[DnsServer]:
    async with dns_serving() as serving:
        serving.add("far.example", "mx.far.example")
        yield serving


async def submitted(running: World, *to: str) -> str:
    """Hand a mail in as an edge does; return the id of the submission."""
    path = running.home / "data" / "directory.sqlite"
    directory = await SqliteDirectory.open(path, SqliteConfig(existing=True))
    user = (await directory.find([FROM]))[FROM]
    await directory.close()
    mail_id = new_id()
    mail = SubmittedMail(
        mail_id=mail_id,
        reverse_path=FROM,
        recipients=tuple(RequestedRecipient(address=each) for each in to),
        content=Inline(MAIL),
    )
    event = Submit(
        command_id=new_id(),
        user_id=user.user_id,
        domain_id=user.domain_id,
        mail=mail,
        at_ms=now_ms(),
    )
    publisher = KafkaPublisher(PublisherConfig(bootstrap=running.bootstrap, client_id="test"))
    await publisher.start()
    try:
        await publisher.publish(event)
    finally:
        await publisher.stop()
    return mail_id


async def settled(ann: Client, mail_id: str) -> dict:
    """The submission once nothing is on its way any more."""
    for _ in range(300):
        found = {}
        page = await asyncio.to_thread(ann.call, "GET", "/v1/submissions")
        for one in page["submissions"]:
            found[one["id"]] = one
        if found.get(mail_id, {}).get("status") in {"sent", "failed", "partial"}:
            return found[mail_id]
        await asyncio.sleep(0.2)
    raise AssertionError(found)


async def notice_of(ann: Client) -> str:
    """The text of the notice in the inbox."""
    for _ in range(300):
        for one in await asyncio.to_thread(ann.messages, "inbox"):
            message = await asyncio.to_thread(ann.raw, "GET", f"/v1/messages/{one['id']}/raw")
            return message.decode()
        await asyncio.sleep(0.2)
    raise AssertionError("no notice")


async def test_a_mail_leaves_and_its_submission_is_sent(peer: SmtpPeer, names: DnsServer) -> None:
    peer.refused["nobody@far.example"] = "550 5.1.1 no such user"
    settings = {
        "POSTRIVER_RELAY": "mx",
        "POSTRIVER_RELAY_PORT": str(peer.port),
        "POSTRIVER_RESOLVER": f"127.0.0.1:{names.port}",
        "POSTRIVER_OUTBOUND_ALLOW": "127.0.0.0/8",
    }
    with world(**settings) as running:
        ann = running.add_user(FROM)
        mail_id = await submitted(running, "bob@far.example")
        row = await settled(ann, mail_id)
        assert row["status"] == "sent"
        assert row["recipients"][0]["server"] == "mx.far.example [127.0.0.1]"
        refused_id = await submitted(running, "nobody@far.example")
        row = await settled(ann, refused_id)
        assert (row["status"], row["recipients"][0]["code"]) == ("failed", "5.1.1")
        notice = await notice_of(ann)
        assert "nobody@far.example" in notice
        (received,) = peer.received
        assert received.recipients == ("bob@far.example",)
        assert received.content.endswith(MAIL)
