"""Deposits: what is stored, what is refused, in which order, and what a repeat does."""

import asyncio
import zipfile
from dataclasses import dataclass, field, replace
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.deposits.deposit import Deposit, DepositsBusy, NoSuchFolder, Replaced, TooLarge
from edge.deposits.depositor import DepositConfig, Depositor, DepositPorts
from edge.deposits.line_ends import with_crlf
from edge.deposits.room import OverQuota, OwnerRoom
from edge.deposits.virus_check import CannotBeScanned, Infected, VirusCheck
from edge.mailbox_commands import CommandFailed, MailboxCommands
from mail.errors import NotFound, Refused, ScannerUnavailable, StoreUnavailable, Unscannable
from mail.ids import holder_of, new_id
from mail.mime.outline.builder import outline_of
from parsing.in_process import InProcessParser
from scanners.memory import EICAR, MemoryVirusScanner
from schemas.directory import QUOTA_UNSET, Domain, Quota, User
from schemas.events.mailbox_commands import CreateFolder, DeleteFolder, Deliver, TrashMessages
from schemas.mail import ENCRYPTED, PARTS
from stores.memory import (
    MemoryContentStore,
    MemoryDirectory,
    MemoryHolders,
    MemoryLiveEvents,
    MemoryMailStore,
    MemoryOutlineStore,
    MemoryUploads,
)
from tests.support import mails
from tests.support.edge_world import Gate, Mailboxes

ALICE = User(user_id="alice", domain_id="d", address="a@p.test", disabled=False, created_at_ms=0)
DRAFT = Deposit(octets=mails.plain(), folder_ids=("drafts",), keywords=("$draft", "$seen"))


class NoForms(InProcessParser):
    async def forms(self, content):
        del content


@dataclass
class Desk:
    """A depositor over memory adapters, and a mailbox agent that executes its commands."""

    parser: InProcessParser = field(default_factory=InProcessParser)
    quota: Quota = QUOTA_UNSET
    deliver_encrypted: bool = True
    config: DepositConfig = field(default_factory=lambda: DepositConfig(worker="api@test"))
    store: MemoryMailStore = field(default_factory=MemoryMailStore)
    contents: MemoryContentStore = field(default_factory=MemoryContentStore)
    outlines: MemoryOutlineStore = field(default_factory=MemoryOutlineStore)
    holders: MemoryHolders = field(default_factory=MemoryHolders)
    directory: MemoryDirectory = field(default_factory=MemoryDirectory)
    gate: Gate = field(default_factory=Gate)
    uploads: MemoryUploads = field(default_factory=MemoryUploads)
    feed: MemoryLiveEvents = field(default_factory=MemoryLiveEvents)
    virus: MemoryVirusScanner = field(default_factory=MemoryVirusScanner)

    def __post_init__(self) -> None:
        self.mailboxes = Mailboxes(self.store, self.feed)
        self.depositor = Depositor(
            DepositPorts(
                store=self.store, contents=self.contents, outlines=self.outlines,
                holders=self.holders, parser=self.parser,
            ),
            self.config,
            commands=MailboxCommands(self.mailboxes, self.feed, answer_timeout_s=0.2),
            virus=VirusCheck(self.virus, deliver_encrypted=self.deliver_encrypted),
            room=OwnerRoom(self.store, self.directory, self.quota, self.uploads, self.gate),
        )  # fmt: skip

    async def deposit(self, deposit: Deposit = DRAFT, **changes: object):
        return await self.depositor.deposit(ALICE, replace(deposit, **changes))

    async def listed(self, folder_id: str) -> list[str]:
        rows = await self.store.by_uid("alice", folder_id, after_uid=0, limit=500)
        return [row.message_id for row in rows]

    def is_empty(self) -> bool:
        return not (self.contents.contents or self.holders.rows or self.mailboxes.commands)


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_deposit_is_a_message_with_content_outline_and_holders(desk):
    octets = mails.attachment()
    done = await desk.deposit(
        octets=octets.replace(b"\r\n", b"\n"), folder_ids=("archive", "drafts"), received_at_ms=77
    )
    row = await desk.store.message("alice", done.message_id)
    assert row is not None
    assert await desk.contents.get(row.content.ref) == octets
    assert desk.outlines.outlines[done.mail_id] == outline_of(octets)
    assert (row.head.subject, row.received_at_ms) == ("With attachment", 77)
    assert row.keywords == ("$draft", "$seen")
    assert (row.changed_seq, row.places) == (done.changed_seq, {"archive": 1, "drafts": 1})
    assert done.places == row.places
    (hop,) = row.hops
    assert (hop.stage, hop.verdict, hop.worker) == ("append", "clean", "api@test")
    assert (row.verdict.outcome, row.verdict.signatures) == ("clean", "memory 1")
    held = {each.holder for each in await desk.holders.list(done.mail_id)}
    assert held == {"deposit", holder_of(done.mail_id, "alice", done.message_id)}
    assert octets in desk.virus.scanned, "the octets that are stored are scanned"
    assert bytes(range(256)) * 78 in desk.virus.scanned, "the attachment too, as it is downloaded"


@pytest.mark.parametrize(
    "octets",
    [mails.plain() + EICAR, mails.compose("In a part", "x", attach=b"x" * 58 + EICAR)],
    ids=["text", "attachment"],
)
async def test_an_infected_mail_is_refused_and_nothing_is_stored(desk, octets):
    with pytest.raises(Infected, match="Eicar-Test-Signature"):
        await desk.deposit(octets=octets)
    assert desk.is_empty()


async def test_nothing_is_accepted_while_the_scanner_is_away(desk):
    desk.virus.down = True
    with pytest.raises(ScannerUnavailable):
        await desk.deposit()
    assert desk.is_empty()
    desk.virus.down = False
    await desk.deposit()
    assert len(await desk.listed("drafts")) == 1


async def test_a_mail_that_breaks_the_scanner_twice_alone_is_not_given_to_it_again(desk):
    broken = ScannerUnavailable("clamd", "ended")
    desk.virus.script += [broken]
    with pytest.raises(ScannerUnavailable):
        await desk.deposit()
    clean = await desk.virus.scan_forms(())
    for expected in (ScannerUnavailable, CannotBeScanned):
        desk.virus.script += [clean, broken]  # of the probe, of the mail
        with pytest.raises(expected):
            await desk.deposit()
    scans = len(desk.virus.scanned)
    with pytest.raises(CannotBeScanned):
        await desk.deposit()
    assert len(desk.virus.scanned) == scans
    assert desk.is_empty()
    await desk.deposit(octets=mails.korean())


async def test_what_cannot_be_scanned_is_refused(desk):
    desk.virus.script.append(Unscannable("too deep"))
    with pytest.raises(CannotBeScanned, match="too deep"):
        await desk.deposit()
    assert desk.is_empty()


async def test_encrypted_parts_follow_the_rule_for_all_mail():
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "x")
    locked = bytearray(packed.getvalue())
    locked[6] |= 1  # the bit that says encrypted
    octets = mails.compose("Locked", "x", attach=bytes(locked))
    desk = Desk()
    await desk.deposit(octets=octets)
    assert (await desk.store.by_id("alice", after_id="", limit=1))[0].verdict.unchecked == (
        ENCRYPTED,
    )
    strict = Desk(deliver_encrypted=False)
    with pytest.raises(CannotBeScanned, match="encrypted"):
        await strict.deposit(octets=octets)
    assert strict.is_empty()


async def test_parts_beyond_the_parsers_limits_are_marked_as_unchecked():
    desk = Desk(parser=NoForms())
    done = await desk.deposit()
    row = await desk.store.message("alice", done.message_id)
    assert row is not None
    assert row.verdict.unchecked == (PARTS,)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"folder_ids": ("0198c0de-0000-7000-8000-000000000000",)}, NoSuchFolder),
        ({"folder_ids": ()}, Refused),
        ({"keywords": ("a b",)}, Refused),
        ({"keywords": tuple(f"k{number}" for number in range(101))}, Refused),
        ({"replaces": Replaced(message_id="none", unchanged_since_seq=1)}, NotFound),
    ],
)
async def test_what_the_mailbox_would_refuse_is_not_stored(desk, changes, error):
    with pytest.raises(error):
        await desk.deposit(**changes)
    assert desk.is_empty()


async def test_the_limit_is_on_what_is_stored():
    desk = Desk(config=DepositConfig(worker="w", size_max_bytes=len(mails.plain())))
    await desk.deposit(octets=mails.plain().replace(b"\r\n", b"\n"))
    with pytest.raises(TooLarge):
        await desk.deposit(octets=mails.plain().replace(b"\r\n", b"\n") + b"\n")


async def test_quotas_of_user_and_domain_are_checked_and_a_new_version_needs_the_difference():
    size = len(mails.plain())
    desk = Desk(quota=Quota(size_bytes=2 * size, messages=2))
    done = await desk.deposit()
    await desk.deposit()
    with pytest.raises(OverQuota):
        await desk.deposit()
    saved = Replaced(message_id=done.message_id, unchanged_since_seq=99)
    await desk.deposit(replaces=saved)
    assert len(desk.contents.contents) == 3
    shared = Desk()
    domain = Domain(domain_id="d", name="p.test", created_at_ms=0, quota=Quota(messages=1))
    await shared.directory.add_domain(domain, another_user("pm"))
    await shared.deposit()
    fresh = Desk(store=shared.store, directory=shared.directory)
    with pytest.raises(OverQuota):
        await fresh.deposit()


def another_user(user_id: str) -> User:
    return User(
        user_id=user_id, domain_id="d", address=f"{user_id}@p.test", disabled=False, created_at_ms=0
    )


async def test_a_new_version_replaces_the_draft_in_one_step(desk):
    first = await desk.deposit(draft_id="d1")
    second = await desk.deposit(
        octets=mails.korean(),
        replaces=Replaced(message_id=first.message_id, unchanged_since_seq=first.changed_seq),
    )
    assert second.draft_id == "d1"
    assert second.changed_seq == first.changed_seq + 1, "no seq has none or both of them"
    (entry,) = await desk.store.journal("alice", since_seq=first.changed_seq, limit=9)
    assert {change.change for change in entry.changes} == {"created", "destroyed"}
    assert await desk.listed("drafts") == [second.message_id]
    row = await desk.store.by_draft("alice", "d1")
    assert row is not None
    assert row.message_id == second.message_id
    stale = Replaced(message_id=first.message_id, unchanged_since_seq=99)
    with pytest.raises(NotFound):
        await desk.deposit(replaces=stale)


async def test_of_two_saves_of_one_version_one_wins_and_the_other_changes_nothing(desk):
    first = await desk.deposit(draft_id="d1")
    saved = Replaced(message_id=first.message_id, unchanged_since_seq=first.changed_seq)
    outcomes = await asyncio.gather(
        *(desk.deposit(octets=mails.plain(f"v{n}"), replaces=saved) for n in range(4)),
        return_exceptions=True,
    )
    won = [each for each in outcomes if not isinstance(each, BaseException)]
    assert len(won) == 1, outcomes
    lost = [each for each in outcomes if isinstance(each, BaseException)]
    assert all(isinstance(each, CommandFailed | NotFound) for each in lost), outcomes
    assert await desk.listed("drafts") == [won[0].message_id]


async def test_a_draft_that_changed_is_not_replaced(desk):
    first = await desk.deposit()
    trash = TrashMessages(
        command_id="c9", user_id="alice", domain_id="d", message_ids=(first.message_id,), at_ms=1
    )
    saved = Replaced(message_id=first.message_id, unchanged_since_seq=first.changed_seq)
    desk.mailboxes.ahead = [trash]  # after the depositor has read the row
    with pytest.raises(CommandFailed) as failure:
        await desk.deposit(replaces=saved)
    assert failure.value.outcome == "conflict"
    commands = len(desk.mailboxes.commands)
    with pytest.raises(CommandFailed) as failure:
        await desk.deposit(replaces=saved)
    assert failure.value.outcome == "conflict"
    assert len(desk.mailboxes.commands) == commands, "known before anything is stored"
    assert await desk.listed("trash") == [first.message_id]
    assert await desk.listed("drafts") == []


async def test_a_repeat_with_the_same_client_id_is_the_same_message(desk):
    done = await desk.deposit(client_id="c1")
    scans = len(desk.virus.scanned)
    assert await desk.deposit(client_id="c1") == done
    assert len(desk.virus.scanned) == scans, "it is not scanned again"
    first, second = await asyncio.gather(*(desk.deposit(client_id="c2") for _ in range(2)))
    assert first.message_id == second.message_id
    assert len(await desk.listed("drafts")) == 2
    assert len({(await desk.deposit()).message_id for _ in range(2)}) == 2


async def test_without_an_event_the_deposit_is_under_way(desk):
    desk.mailboxes.deaf = True
    done = await desk.deposit()
    assert done.changed_seq is None
    (command,) = desk.mailboxes.commands
    assert isinstance(command, Deliver)
    assert command.message_id == done.message_id
    assert command.strict


async def test_a_folder_that_goes_meanwhile_is_reported_as_such(desk):
    folder_id = new_id()
    common = {"user_id": "alice", "domain_id": "d", "at_ms": 1, "folder_id": folder_id}
    await desk.mailboxes.publish(CreateFolder(command_id="c1", name="Projects", **common))
    desk.mailboxes.ahead = [DeleteFolder(command_id="c2", **common)]
    with pytest.raises(NoSuchFolder):
        await desk.deposit(folder_ids=(folder_id,))
    assert await desk.store.by_id("alice", after_id="", limit=9) == [], "not in the inbox instead"


@pytest.mark.parametrize("step", ["contents", "outlines", "holders", "publish"])
async def test_a_store_that_is_away_is_an_outage(desk, step):
    def away(name: str) -> None:
        if name in {"put", "hold"}:
            raise StoreUnavailable(step)

    if step == "publish":
        desk.mailboxes.down = True
    else:
        getattr(desk, step).fault = away
    with pytest.raises(Exception) as failure:
        await desk.deposit()
    assert "Unavailable" in type(failure.value).__name__
    assert await desk.listed("drafts") == []
    if step in {"contents", "outlines", "holders"}:
        assert not desk.mailboxes.commands


async def test_while_the_gate_is_closed_nothing_is_accepted(desk):
    desk.gate.reason = "low disk"
    with pytest.raises(StoreUnavailable, match="low disk"):
        await desk.deposit()
    assert desk.is_empty()


async def test_a_user_who_deposits_much_waits_alone():
    desk = Desk(config=DepositConfig(worker="w", at_once=2, per_user=1, waiting_max=1))
    outcomes = await asyncio.gather(*(desk.deposit() for _ in range(4)), return_exceptions=True)
    busy = [each for each in outcomes if isinstance(each, DepositsBusy)]
    assert busy
    assert len(await desk.listed("drafts")) == 4 - len(busy) >= 1


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"\0", b"\xff"])).map(b"".join))
def test_line_ends_become_crlf_and_nothing_else_changes(octets):
    result = with_crlf(octets)
    assert result.count(b"\r\n") == result.count(b"\n") == result.count(b"\r")
    plain = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert result.replace(b"\r\n", b"\n") == plain
    assert with_crlf(result) is result
