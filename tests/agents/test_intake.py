"""validate and route: outputs, stored contents and holders."""

import msgspec
import pytest

from agents.ports import IntakePorts
from agents.route import route
from agents.validate import parsed_apart, validate
from mail.errors import ContentMissing, EndsProcess, Poison, SetAside, StoreUnavailable
from mail.ids import message_id
from mail.mime.message_parser import OutlinedHead
from mail.mime.outline.builder import outline_of
from mail.operator_notices import Notice, notice_mail
from parsing.in_process import InProcessParser
from schemas.content import Stored
from schemas.mail import Verdict
from stores.memory import (
    MemoryContentStore,
    MemoryHolders,
    MemoryOutlineStore,
    MemoryQuarantine,
)
from tests.support.agent_builders import OneTry, received, scanned


@pytest.fixture
def ports() -> IntakePorts:
    return IntakePorts(
        contents=MemoryContentStore(),
        outlines=MemoryOutlineStore(),
        holders=MemoryHolders(),
        quarantine=MemoryQuarantine(),
    )


async def test_validate_reads_the_head_and_adds_its_hop(ports: IntakePorts) -> None:
    (event,) = await validate(received(), OneTry(), ports)
    assert (event.head.subject, event.head.preview) == ("Tea", "At four?")
    assert [hop.verdict for hop in event.hops] == ["parsed"]


@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 400, b"\r\n\r\n", b" \r\n"])
async def test_validate_passes_on_what_nobody_can_parse(ports: IntakePorts, content) -> None:
    (event,) = await validate(received(content), OneTry(), ports)
    assert event.head.parse_failed
    assert event.hops[-1].verdict == "parse_failed"


class IsolationCounter(InProcessParser):
    """Counts the requests to parse in another process."""

    isolated = 0

    async def outlined_head(self, content: bytes, *, isolated: bool = False) -> OutlinedHead:
        self.isolated += isolated
        return await super().outlined_head(content)


async def test_validate_has_a_mail_that_ends_the_process_parsed_by_another_one() -> None:
    parser = IsolationCounter()
    ports = IntakePorts(
        contents=MemoryContentStore(), outlines=MemoryOutlineStore(), holders=MemoryHolders(),
        quarantine=MemoryQuarantine(), parser=parser,
    )  # fmt: skip
    assert await parsed_apart(received(), OneTry(), ports, EndsProcess()) == tuple(
        await validate(received(), OneTry(), ports)
    )
    assert parser.isolated == 1
    for cause in (SetAside(), ContentMissing("m1")):  # parked as they are
        assert await parsed_apart(received(), OneTry(), ports, cause) is None


async def test_validate_reads_a_big_mail_from_the_store(ports: IntakePorts) -> None:
    big = b"Subject: big\r\n\r\n" + b"x" * 300_000
    stored = await ports.contents.put("m1", big)
    (event,) = await validate(received(stored), OneTry(), ports)
    assert event.head.subject == "big"
    assert event.content == stored


async def test_validate_writes_the_outline_before_the_mail_goes_on(ports: IntakePorts) -> None:
    for _ in range(2):  # a repeat changes nothing
        await validate(received(), OneTry(), ports)
        assert await ports.outlines.get(["m1"]) == {"m1": outline_of(received().content.data)}

    def away(_step: str) -> None:
        raise StoreUnavailable("outlines")

    ports.outlines.fault = away
    with pytest.raises(StoreUnavailable):
        await validate(received(), OneTry(), ports)


async def test_route_writes_the_outline_of_a_mail_that_did_not_pass_validate(
    ports: IntakePorts,
) -> None:
    notice = notice_mail(
        Notice("cause", "text"), hostname="x.test", to=scanned().envelope.recipients[0], now_ms=1
    )
    await route(notice, OneTry(), ports)
    assert await ports.outlines.get([notice.mail_id]) == {
        notice.mail_id: outline_of(notice.content.data)
    }


async def test_route_writes_no_outline_of_other_mails(ports: IntakePorts) -> None:
    (mail,) = await validate(received(), OneTry(), ports)
    await ports.outlines.delete(["m1"])
    hop = msgspec.structs.replace(mail.hops[0], stage="validate")
    await route(msgspec.structs.replace(scanned(), hops=(hop,)), OneTry(), ports)
    assert await ports.outlines.get(["m1"]) == {}


async def test_validate_parks_a_mail_whose_content_is_gone(ports: IntakePorts) -> None:
    with pytest.raises(ContentMissing):
        await validate(received(Stored("gone", 1, "")), OneTry(), ports)


async def test_route_makes_one_command_per_owner_and_the_same_again(ports: IntakePorts) -> None:
    event = scanned(users=("bob", "ann", "bob"))
    first = await route(event, OneTry(), ports)
    again = await route(event, OneTry(), ports)
    assert first == again
    assert [command.user_id for command in first] == ["ann", "bob"]
    assert first[1].message_id == message_id("m1", "bob")
    assert len({command.command_id for command in first}) == 2


async def test_route_keeps_the_content_and_its_holders_first(ports: IntakePorts) -> None:
    (command,) = await route(scanned(), OneTry(), ports)
    assert await ports.contents.get(command.content.ref) == scanned().content.data
    (holder,) = await ports.holders.list("m1")
    assert (holder.holder, holder.ref) == ("user:bob", command.content.ref)


async def test_route_emits_nothing_while_holders_cannot_be_written(ports: IntakePorts) -> None:
    def away(_step: str) -> None:
        raise StoreUnavailable("holders")

    ports.holders.fault = away
    with pytest.raises(StoreUnavailable):
        await route(scanned(), OneTry(), ports)


async def test_route_puts_spam_into_junk(ports: IntakePorts) -> None:
    spam = Verdict(outcome="spam", spam_score=7.0)
    (command,) = await route(scanned(spam), OneTry(), ports)
    assert command.folder_id == "junk"
    assert command.hops[-1].verdict == "junk"


async def test_route_parks_a_mail_without_recipients(ports: IntakePorts) -> None:
    with pytest.raises(Poison):
        await route(scanned(users=()), OneTry(), ports)
