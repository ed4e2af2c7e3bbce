"""Mail that leaves the stack: to a scripted mail host on 127.0.0.1 that the test's DNS names."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.support.dns_server import DnsServer
from tests.support.dns_server import serving as dns_serving
from tests.support.smtp_peer import SmtpPeer, peer_serving
from tests.support.stack_world import Client, world
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


@pytest.fixture
async def peer() -> AsyncIterator[SmtpPeer]:
    async with peer_serving() as serving:
        yield serving


@pytest.fixture
async def names() -> AsyncIterator[DnsServer]:
    async with dns_serving() as serving:
        serving.add("far.example", "mx.far.example")
        yield serving


async def test_a_mail_leaves_and_an_unknown_recipient_is_told(
    peer: SmtpPeer, names: DnsServer
) -> None:
    """The stack is used in another thread, since the peer and the DNS server run in this one."""
    peer.refused["nobody@far.example"] = "550 5.1.1 no such user"
    settings = {
        "POSTRIVER_RELAY": "mx",
        "POSTRIVER_RELAY_PORT": str(peer.port),
        "POSTRIVER_RESOLVER": f"127.0.0.1:{names.port}",
        "POSTRIVER_OUTBOUND_ALLOW": "127.0.0.0/8",
    }
    with world(**settings) as running:
        ann = running.add_user("ann@postriver.test")
        row = await asyncio.to_thread(sent, ann, "bob@far.example")
        assert row["status"] == "sent"
        assert row["recipients"][0]["server"] == "mx.far.example [127.0.0.1]"
        row = await asyncio.to_thread(sent, ann, "nobody@far.example")
        assert (row["status"], row["recipients"][0]["code"]) == ("failed", "5.1.1")
        notice = await asyncio.to_thread(eventually, notice_in(ann), what="the notice")
        assert b"Action: failed" in notice
        assert b"nobody@far.example" in notice
        (received,) = peer.received
        assert received.recipients == ("bob@far.example",)
        assert b"At four?" in received.content


def sent(owner: Client, to: str) -> dict[str, Any]:
    """The submission of a mail to `to` once nothing of it is on its way."""
    body = {"to": [to], "subject": "Tea", "text": "At four?", "undo_s": 0}
    submission_id = owner.call("POST", "/v1/messages", body)["submission_id"]

    def final() -> dict[str, Any] | None:
        row = owner.call("GET", f"/v1/submissions/{submission_id}")
        return row if row["status"] not in {"held", "queued"} else None

    return eventually(final, what=f"submission {submission_id}")


def notice_in(owner: Client) -> Callable[[], bytes | None]:
    def notice() -> bytes | None:
        for one in owner.messages("inbox"):
            return owner.raw("GET", f"/v1/messages/{one['id']}/raw")
        return None

    return notice
