"""verify over real stores: each loss and damage outside the mail store is named."""

import asyncio
import hashlib
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from agents.index import add, index
from agents.mailbox import mailbox
from agents.ports import IndexPorts
from cli.wiring.embedded import Adapters
from edge.deposits.room import OwnerRoom
from edge.deposits.uploader import UploadConfig, Uploader, UploadPorts
from edge.deposits.virus_check import VirusCheck
from mail.ids import message_id, upload_holder
from mail.mime.outline.builder import outline_of
from mail.query.parser import parse
from mail.query.planner import plan_of
from mail.query.tree import QueryContext
from operations.ports import OutlinePorts
from operations.rebuild import rebuild_index
from operations.rebuild_outlines import rebuild_all_outlines, rebuild_outlines
from operations.verify import MailboxVerifier
from parsing.in_process import InProcessParser
from scanners.memory import MemoryVirusScanner
from schemas.consistency import ConsistencyReport
from schemas.content import Stored
from schemas.directory import QUOTA_UNSET, User
from schemas.events.mailbox_commands import DestroyMessages, TrashMessages
from schemas.holders import Holder
from stack.state_folder import claimed
from stores.memory import MemoryDirectory
from stores.memory.search_index import MemorySearchIndex
from tests.support.agent_builders import PLAIN, OneTry, deliver, mailbox_ports, order
from tests.support.edge_world import Gate


class Mailbox:
    """Bob's mailbox, written by the agents on real stores."""

    def __init__(self, verifier: MailboxVerifier) -> None:
        self.verifier = verifier
        stores = {"store": verifier.store, "contents": verifier.contents}
        self._mailbox = mailbox_ports(**stores, holders=verifier.holders)
        self.index_ports = IndexPorts(**stores, search=verifier.search)
        self._offset = 0

    async def do(self, command) -> None:
        work = OneTry(offset=self._offset)
        self._offset += 1
        (event,) = await mailbox(command, work, self._mailbox)
        work.published()
        await index(event, OneTry(), self.index_ports)

    async def receive(self, mail_id: str) -> None:
        content = PLAIN + mail_id.encode()
        stored = await self.verifier.contents.put(mail_id, content)
        assert stored == Stored(mail_id, len(content), hashlib.sha256(content).hexdigest())
        await self.verifier.outlines.put(mail_id, outline_of(content))
        await self.verifier.holders.hold([Holder(mail_id=mail_id, holder="user:bob", ref=mail_id)])
        await self.do(msgspec.structs.replace(deliver(mail_id), content=stored))

    async def found(self) -> list[str]:
        _, found = await self.verifier.verify("bob")
        return [f"{one.part}: {one.what}" for one in found.differences]


@pytest.fixture
async def bob(tmp_path: Path):
    with claimed(tmp_path / "home") as home:
        async with AsyncExitStack() as stack:
            opened = Adapters(home.path, stack)
            verifier = MailboxVerifier(
                store=await opened.mail_store(),
                contents=await opened.contents(),
                outlines=await opened.outlines(),
                parser=InProcessParser(),
                holders=await opened.holders(),
                search=await opened.search(),
                uploads=await opened.uploads(),
                pause_s=0.05,
            )
            made = Mailbox(verifier)
            for number in range(3):
                await made.receive(f"m{number}")
            await made.do(order(TrashMessages, "d0", "m2"))
            await made.do(order(DestroyMessages, "d1", "m2", unchanged_since_seq=9))
            yield made


def id_of(mail_id: str) -> str:
    return message_id(mail_id, "bob")


async def test_what_the_agents_left_agrees(bob: Mailbox) -> None:
    assert await bob.verifier.verify("bob") == (2, ConsistencyReport())
    assert await bob.verifier.verify("nobody") == (0, ConsistencyReport())


async def test_a_content_that_is_gone_or_another(bob: Mailbox) -> None:
    await bob.verifier.contents.sweep(loose=["m0"], turns=1)
    assert await bob.found() == [f"content: message {id_of('m0')}: content m0 is not there"]
    await bob.verifier.contents.put("m0", b"forged")
    assert await bob.found() == [f"content: message {id_of('m0')}: content m0 is damaged"]


def all_contents(bob: Mailbox) -> None:
    bob.verifier = replace(bob.verifier, all_contents=True)


async def test_an_outline_that_is_missing_or_different(bob: Mailbox) -> None:
    await bob.verifier.outlines.delete(["m0"])
    await bob.verifier.outlines.put("m1", outline_of(b"Subject: forged\r\n\r\n"))
    assert await bob.found() == [], "a sample does not compare outlines"
    all_contents(bob)
    assert sorted(await bob.found()) == sorted([
        f"outlines: message {id_of('m0')}: outline of mail m0 is missing",
        f"outlines: message {id_of('m1')}: outline of mail m1 differs from its content",
    ])  # fmt: skip


@pytest.mark.parametrize("all_mailboxes", [True, False])
async def test_rebuilt_outlines_agree(bob: Mailbox, all_mailboxes) -> None:
    verifier, home = bob.verifier, bob.index_ports
    await verifier.outlines.delete(["m0", "m1", "m2"])
    ports = OutlinePorts(
        store=home.store, contents=home.contents, walk=home.contents, outlines=verifier.outlines,
        parser=verifier.parser,
    )  # fmt: skip

    async def rebuild() -> tuple[int, int]:
        if all_mailboxes:
            return await rebuild_all_outlines(ports)
        return await rebuild_outlines("bob", ports)

    contents = 3 if all_mailboxes else 2  # m2 is destroyed and not swept
    assert await rebuild() == (contents, contents)
    assert await rebuild() == (contents, 0)
    await verifier.outlines.put("m0", outline_of(b"Subject: forged\r\n\r\n"))
    assert await rebuild() == (contents, 1)
    all_contents(bob)
    assert await bob.found() == []


async def test_holders_that_lack_or_stay(bob: Mailbox) -> None:
    await bob.verifier.holders.release("m0", "user:bob")
    await bob.verifier.holders.forget_released(["m2"])
    await bob.verifier.holders.hold([Holder(mail_id="m2", holder="user:bob", ref="m2")])
    assert await bob.found() == [
        f"holders: message {id_of('m0')}: does not hold content m0",
        f"holders: message {id_of('m2')}: destroyed, and holds content m2",
    ]


async def test_documents_that_lack(bob: Mailbox) -> None:
    await bob.verifier.search.remove("bob", id_of("m1"))
    assert await bob.found() == [f"index: message {id_of('m1')}: is not indexed"]


async def test_a_rebuilt_index_holds_what_it_held(bob: Mailbox) -> None:
    search = bob.verifier.search
    await search.remove("bob", id_of("m0"))
    await search.add(await surplus(bob))
    assert len(await bob.found()) == 2
    assert await rebuild_index("bob", bob.index_ports) == 2
    assert await bob.found() == []
    assert await search.unfilled() == []
    assert (
        await search.count(
            "bob", plan_of(parse("tea", QueryContext(now_ms=0)).node).index_query, limit=9
        )
        == 2
    )


class Forgetless(MemorySearchIndex):
    """An index that removes no document."""

    async def remove(self, user_id: str, message_id: str) -> None:
        pass


async def surplus(bob: Mailbox):
    """Return the index document of a destroyed message."""
    row = await bob.verifier.store.message("bob", id_of("m2"))
    assert row.destroyed
    made = Forgetless()
    ports = IndexPorts(store=bob.verifier.store, contents=bob.verifier.contents, search=made)
    await add(row, ports)
    (searched,) = made._documents.values()
    return searched.document


async def test_what_is_on_its_way_is_no_difference(bob: Mailbox) -> None:
    await bob.verifier.search.remove("bob", id_of("m1"))
    found = asyncio.create_task(bob.found())
    await asyncio.sleep(0)
    await bob.do(order(TrashMessages, "late", "m1"))
    await bob.do(order(DestroyMessages, "late too", "m1", unchanged_since_seq=99))
    assert await found == []


async def test_uploads_have_a_content_and_hold_it(bob) -> None:
    verifier = bob.verifier
    uploader = Uploader(
        UploadPorts(uploads=verifier.uploads, contents=verifier.contents, holders=verifier.holders),
        UploadConfig(),
        virus=VirusCheck(MemoryVirusScanner()),
        room=OwnerRoom(verifier.store, MemoryDirectory(), QUOTA_UNSET, verifier.uploads, Gate()),
    )
    user = User(user_id="bob", domain_id="d", address="b@p.test", disabled=False, created_at_ms=0)
    rows = [
        await uploader.upload(user, b"file", filename="a", content_type="a/b") for _ in range(3)
    ]
    assert await bob.found() == []
    loose, gone, deleted = (row.upload_id for row in rows)
    await verifier.holders.release(loose, upload_holder("bob", loose))
    await verifier.contents.sweep(loose=[gone], turns=1)
    await uploader.delete("bob", deleted)
    assert await bob.found() == [
        f"content: upload {gone}: its content is not there",
        f"holders: upload {loose}: does not hold its content",
    ]
