"""A backup while an owner destroys old mail and custody sweeps: the copy is whole all the same."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from agents.background.content_sweeper import ContentSweeper, SweepConfig
from agents.ports import SweepPorts
from cli.backup import backup
from cli.backup.backup import back_up
from cli.backup.restore import restore
from cli.config.config import load
from cli.wiring.embedded import Adapters
from mail.errors import Refused
from mail.ids import dated_id, message_id
from operations.audit import audit
from operations.ports import AuditPorts
from operations.verify import MailboxVerifier
from parsing.in_process import InProcessParser
from schemas.consistency import ConsistencyReport
from schemas.events.mailbox_commands import DestroyMessages, TrashMessages
from schemas.ledger import STORED, AcceptedMail
from stack.state_folder import claimed
from tests.operations.test_verify import Mailbox
from tests.support.agent_builders import order
from tests.support.custody_world import Letters, Log

MAIL = dated_id(1_700_000_000_000, "years before the backup")
TURN_S = 300.0


async def verifier_of(opened: Adapters) -> MailboxVerifier:
    return MailboxVerifier(
        store=await opened.mail_store(),
        contents=await opened.contents(),
        outlines=await opened.outlines(),
        parser=InProcessParser(),
        holders=await opened.holders(),
        search=await opened.search(),
        uploads=await opened.uploads(),
        pause_s=0,
    )


async def receive(opened: Adapters) -> None:
    await opened.directory()
    await opened.quarantine()
    entry = AcceptedMail(mail_id=MAIL, accepted_at_ms=1_700_000_000_000, user_ids=("bob",))
    await (await opened.ledger()).add([entry])
    await Mailbox(await verifier_of(opened)).receive(MAIL)


async def destroy(opened: Adapters) -> None:
    bob = Mailbox(await verifier_of(opened))
    bob._offset = 1
    await bob.do(order(TrashMessages, "d1", MAIL))
    await bob.do(order(DestroyMessages, "d2", MAIL, unchanged_since_seq=2))


async def sweep(opened: Adapters, *, turns: int, count: int) -> int:
    """How many contents went in `count` turns, `TURN_S` apart."""
    now_s = 0.0
    ports = SweepPorts(
        contents=await opened.content_sweep(),
        outlines=await opened.outlines(),
        holders=await opened.holders(),
        quarantine=await opened.quarantine(),
        in_flight=Log(),
    )
    sweeper = ContentSweeper(ports, SweepConfig(turns=turns), clock_s=lambda: now_s)
    for _ in range(count):
        now_s += TURN_S
        await sweeper.turn()
    return sweeper.deleted


def on(home: Path, work: Callable[[Adapters], Awaitable[int | None]]) -> int | None:
    async def run() -> int | None:
        async with AsyncExitStack() as stack:
            return await work(Adapters(home, stack))

    return asyncio.run(run())


def backed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[Path], None]
) -> None:
    """`meanwhile` happens between the copy of mail.sqlite and that of content.sqlite."""
    with claimed(tmp_path / "home") as made:
        on(made.path, receive)
    plain = backup.Backup._database

    def database(self, path, view):
        schema = plain(self, path, view)
        if path.name == "mail.sqlite":
            meanwhile(tmp_path / "home")
        return schema

    monkeypatch.setattr(backup.Backup, "_database", database)
    config = load({"POSTRIVER_HOME": str(tmp_path / "home")})
    back_up(config, tmp_path / "backup", bootstrap=None)
    restore(load({"POSTRIVER_HOME": str(tmp_path / "again")}), tmp_path / "backup")


async def check_restored(opened: Adapters) -> None:
    assert await (await verifier_of(opened)).verify("bob") == (1, ConsistencyReport())
    ports = AuditPorts(
        ledger=await opened.ledger(),
        store=await opened.mail_store(),
        quarantine=await opened.quarantine(),
        contents=await opened.contents(),
        letters=Letters(),
        in_flight=Log(),
    )
    account = await audit(ports, since_ms=0, until_ms=2**50, pause_s=0)
    assert (account.counts, account.lost) == ({STORED: 1}, ())
    message = await (await opened.mail_store()).message("bob", message_id(MAIL, "bob"))
    assert await (await opened.contents()).get(message.content.ref)


def test_mail_that_was_destroyed_and_swept_meanwhile_is_whole_in_the_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(home: Path) -> None:
        on(home, destroy)
        assert on(home, lambda opened: sweep(opened, turns=2, count=3)) == 0, "the lease"

    backed_up(tmp_path, monkeypatch, meanwhile)
    on(tmp_path / "again", check_restored)
    assert on(tmp_path / "home", lambda opened: sweep(opened, turns=2, count=3)) == 1


def test_without_a_lease_the_count_alone_keeps_contents_and_no_backup_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backup was frozen until the sweep ended its lease; a day of turns is not over."""

    def meanwhile(home: Path) -> None:
        on(home, destroy)
        assert on(home, lambda opened: sweep(opened, turns=288, count=287)) == 0

    with pytest.raises(Refused, match="the lease expired"):
        backed_up(tmp_path, monkeypatch, meanwhile)
    assert list((tmp_path / "backup").iterdir()) == []
    on(tmp_path / "home", check_contents_are_there)


async def check_contents_are_there(opened: Adapters) -> None:
    assert await (await opened.contents()).missing([MAIL]) == []
