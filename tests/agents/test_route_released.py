"""route: mail released by an operator is delivered with its content, or parked."""

import msgspec
import pytest

from agents.ports import IntakePorts
from agents.route import route
from mail.errors import ContentMissing
from mail.mime.outline.builder import outline_of
from schemas.content import Inline, Stored
from schemas.mail import Verdict
from stores.memory import (
    MemoryContentStore,
    MemoryHolders,
    MemoryOutlineStore,
    MemoryQuarantine,
)
from tests.support.agent_builders import PLAIN, OneTry, scanned


@pytest.fixture
def ports() -> IntakePorts:
    return IntakePorts(
        contents=MemoryContentStore(),
        outlines=MemoryOutlineStore(),
        holders=MemoryHolders(),
        quarantine=MemoryQuarantine(),
    )


def released(content: Stored | None = None, **changes):
    mail = scanned(Verdict(outcome="spam", signatures="s", spam_score=30.0))
    if content is not None:
        changes["content"] = content
    return msgspec.structs.replace(mail, released_by="admin", **changes)


async def test_a_released_mail_whose_content_is_gone_is_parked(ports: IntakePorts) -> None:
    gone = Stored(ref="m1", size_bytes=len(PLAIN), sha256=b"")
    with pytest.raises(ContentMissing):
        await route(released(gone), OneTry(), ports)
    assert ports.holders.rows == {}


async def test_a_released_mail_goes_to_the_inbox_with_its_stored_content(
    ports: IntakePorts,
) -> None:
    stored = await ports.contents.put("m1", PLAIN)
    (command,) = await route(released(stored), OneTry(), ports)
    assert (command.folder_id, command.content.ref) == ("inbox", "m1")


async def test_a_delivery_is_dated_by_its_scan(ports: IntakePorts) -> None:
    """The date of the command; mail of earlier versions has no time of its scan."""
    (dated,) = await route(released(received_at_ms=5, scanned_at_ms=9), OneTry(), ports)
    (undated,) = await route(released(received_at_ms=5, scanned_at_ms=0), OneTry(), ports)
    assert (dated.at_ms, undated.at_ms) == (9, 5)


async def test_the_outline_of_a_repeated_notice_is_that_of_the_text_that_stays(
    ports: IntakePorts,
) -> None:
    other = PLAIN.replace(b"At four?", b"At four, or at any later time of the day?")
    for content in (PLAIN, other):
        await route(msgspec.structs.replace(scanned(), content=Inline(content)), OneTry(), ports)
    assert await ports.contents.get("m1") == PLAIN
    assert await ports.outlines.get(["m1"]) == {"m1": outline_of(PLAIN)}
