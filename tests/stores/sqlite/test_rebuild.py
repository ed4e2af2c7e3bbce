"""Rebuild steps, folds, commands, repeats and damage in any order: views end as the journal says.

What the views must be is computed here from journal and snapshot, without the store's own check.
"""

import asyncio
import contextlib
import hashlib
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from agents.mailbox import mailbox
from mail.ids import message_id
from mail.mailbox.consistency_check import expected_state
from mail.mailbox.journal_replay import JournalReplay, row_of
from mail.mailbox.list_filters import NO_FILTER
from mail.mime.message_parser import read_head
from schemas.consistency import COUNTS, LISTS
from schemas.content import Stored
from schemas.events.mailbox_commands import (
    ChangeMessages,
    Command,
    DestroyMessages,
    EmptyFolder,
    MarkAllRead,
    RebuildViews,
    TrashMessages,
)
from schemas.events.mailbox_events import CommandAnswered, MailboxChanged
from schemas.events.unions import Event
from schemas.mailbox import JUNK, TRASH, Message
from stores.sqlite.mail_store.store import SqliteMailStore
from tests.support.agent_builders import OneTry, change, deliver, mailbox_ports, order

MEMORY = Path("/dev/shm")  # an example makes some hundred writes
MAILS = tuple(f"m{number}" for number in range(7))  # delivered first
LATE = ("m7", "m8", "m9")
SEQ_MAX = 2**31
BOTH = (LISTS, COUNTS)
mails = st.sampled_from(MAILS + LATE)
some = st.lists(mails, min_size=1, max_size=3)
ways = st.sampled_from(["add", "remove"])
works = st.integers(0, 6)  # records of the log to handle
folders = st.sampled_from(["inbox", "junk", "trash", "archive"])
DAMAGE = (
    "DELETE FROM message WHERE message_id = ?1",
    "UPDATE message SET message = x'c1' WHERE message_id = ?1",
    "UPDATE message SET mail_id = 'x' WHERE message_id = ?1",
    "UPDATE message SET draft_id = 'x' WHERE message_id = ?1",
    "DELETE FROM place WHERE message_id = ?1",
    "UPDATE place SET flags = 3, sender = 'x' WHERE message_id = ?1",
    """INSERT OR IGNORE INTO place SELECT mailbox_key, 'archive', 1, 9, message_id, 77, 0, ''
        FROM message WHERE message_id = ?1""",
    "DELETE FROM uid WHERE message_key = (SELECT message_key FROM message WHERE message_id = ?1)",
    """INSERT OR IGNORE INTO uid SELECT mailbox_key, 'archive', 999, 77, message_id, 1, 0, 1, 1
        FROM message WHERE message_id = ?1""",
    "DELETE FROM member WHERE message_id = ?1",
    "UPDATE member SET thread_id = 'x' WHERE message_id = ?1",
    "DELETE FROM conversation WHERE message_id = ?1",
    "UPDATE conversation SET thread_id = 'x', total = 7 WHERE message_id = ?1",
    "UPDATE conversation_count SET threads = 7, messages = 0 WHERE ?1 != ''",
    "DELETE FROM thread WHERE ?1 != ''",
    "UPDATE thread SET thread_id = 'x' WHERE ?1 != ''",
    "DELETE FROM command WHERE seq = (SELECT max(seq) FROM command WHERE ?1 != '')",
    "UPDATE mailbox SET size_bytes = 1, messages = 99 WHERE ?1 != ''",
)


def content_of(mail: str) -> bytes:
    """Each mail answers the next mail."""
    parent = f"m{(int(mail[1:]) + 1) % 10}"
    return (
        f"From: Kim <kim@example.kr>\r\nSubject: {mail}\r\nMessage-ID: <{mail}@x>\r\n"
        f"In-Reply-To: <{parent}@x>\r\n\r\ntext\r\n"
    ).encode()


HEADS = {mail: read_head(content_of(mail)) for mail in MAILS + LATE}


class Steps(RuleBasedStateMachine):
    @initialize(step_max=st.sampled_from([2, 3, 5, 9]))
    def begin(self, step_max: int) -> None:
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.path = Path(self.folder.name) / "mail.sqlite"
        self.runner = asyncio.Runner()
        self.store = self.run(SqliteMailStore.open(self.path, step_max=step_max))
        self.ports = mailbox_ports(store=self.store, chunk_max=2)
        for mail in MAILS + LATE:
            self.run(self.ports.contents.put(mail, content_of(mail)))
        self.log: list[Command] = []
        self.done = 0
        self.commands = 0
        self.is_damaged = False  # and no full rebuild since
        self.mending = ""  # id of a full rebuild that began after the last damage
        self.answers: dict[str, str] = {}
        for mail in MAILS:
            self._deliver(mail, "inbox")
        self._order(TrashMessages, *MAILS[:2])
        self._work(len(self.log))

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def _order(self, kind: Any, *mails: str, **fields: Any) -> str:
        self.commands += 1
        command = order(kind, f"c{self.commands}", *mails, **fields)
        self.log.append(command)
        return command.command_id

    def _deliver(self, mail: str, folder: str) -> None:
        raw = content_of(mail)
        stored = Stored(mail, len(raw), hashlib.sha256(raw).hexdigest())
        command = deliver(mail, folder_id=folder, head=HEADS[mail])
        self.log.append(msgspec.structs.replace(command, content=stored))

    @rule(mail=st.sampled_from(LATE), folder=folders, count=works)
    def deliver(self, mail: str, folder: str, count: int) -> None:
        self._deliver(mail, folder)
        self._work(count)

    @rule(mail=mails, word=st.sampled_from(["$seen", "$flagged"]), way=ways, count=works)
    def mark(self, mail: str, word: str, way: str, count: int) -> None:
        self.commands += 1
        self.log.append(change(f"c{self.commands}", mail, **{way: [word]}))
        self._work(count)

    @rule(ids=some, folder=folders, count=works)
    def move(self, ids: list[str], folder: str, count: int) -> None:
        self._order(ChangeMessages, *ids, set_folder_ids=(folder,))
        self._work(count)

    @rule(ids=some, count=works)
    def delete(self, ids: list[str], count: int) -> None:
        self._order(TrashMessages, *ids)
        self._order(DestroyMessages, *ids, unchanged_since_seq=SEQ_MAX)
        self._work(count)

    @rule(folder=folders, kind=st.sampled_from([MarkAllRead, EmptyFolder]), count=works)
    def order_to_a_folder(self, folder: str, kind: Any, count: int) -> None:
        self._order(kind, folder_id=folder)
        self._work(count)

    @rule(parts=st.sampled_from([(LISTS,), (COUNTS,), BOTH, BOTH, BOTH]), count=works)
    def rebuild(self, parts: tuple[str, ...], count: int) -> None:
        self._order(RebuildViews, parts=parts)
        self._work(count)

    def _work(self, count: int) -> None:
        for _ in range(count):
            if self.done < len(self.log):
                self.log += self._carried_out(self.done)
                self.done += 1

    @rule()
    def work_is_done_again(self) -> None:
        """Repeat a record: the worker died before it published the outputs, or it came twice."""
        if self.done:
            self.log += self._carried_out(self.done - 1)

    @rule(keep=st.integers(0, 3))
    def fold(self, keep: int) -> None:
        seq = self.run(self.store.state("bob")).seq
        self.run(self.store.fold("bob", before_ms=2**60, to_seq=seq - keep))

    @rule(mail=mails, statement=st.sampled_from(DAMAGE))
    def damage(self, mail: str, statement: str) -> None:
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            done = connection.execute(statement, (message_id(mail, "bob"),))
            self.is_damaged |= done.rowcount > 0
        self.mending = ""

    def _carried_out(self, offset: int) -> list[Command]:
        """Handle a record; return the commands that follow. It may fail in a damaged mailbox."""
        work = OneTry(offset=offset)
        try:
            outputs = self.run(mailbox(self.log[offset], work, self.ports))
        except Exception:
            if not self.is_damaged:
                raise
            self.ports.states.doubt("bob")
            return []
        work.published()
        for one in outputs:
            if isinstance(one, CommandAnswered):
                self.answers[one.answers] = one.outcome
        self._rebuilt(self.log[offset], outputs)
        return [one for one in outputs if isinstance(one, Command)]

    def _rebuilt(self, command: Command, outputs: Sequence[Event]) -> None:
        if not isinstance(command, RebuildViews):
            return
        if not command.step and command.parts == BOTH:
            self.mending = command.command_id
        for one in outputs:
            if isinstance(one, CommandAnswered):
                assert "after seq" not in one.detail, "the journal was folded meanwhile"
                is_whole = self.mending == one.answers and one.outcome != "refused"
                self.is_damaged &= not is_whole

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        try:
            self._work_all()
            if not self.is_damaged:
                self._prove()
            last = self._order(RebuildViews, parts=BOTH)
            self._work_all()
            if self.run(self.store.state("bob")).seq:
                assert self.answers[last] in ("rebuilt", "unchanged")
            self._prove()
        finally:
            self.run(self.store.close())
            self.runner.close()
            self.folder.cleanup()

    def _work_all(self) -> None:
        while self.done < len(self.log):
            self._work(1)

    def _prove(self) -> None:
        assert self.run(self.store.check("bob")).differences == ()
        told = self.run(self._told())
        assert self.run(self.store.state("bob")) == expected_state(told)
        rows = [
            row_of(record, user_id="bob", domain_id="d1", head=HEADS[record.delivered.mail_id])
            for record in told.records.values()
        ]
        found = self.run(self.store.rows("bob", list(told.records)))
        assert found == {row.message_id: row for row in rows}
        self._lists([row for row in rows if not row.destroyed])
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            for name in ("rebuild_record", "rebuild_binding"):
                assert not connection.execute(f"SELECT * FROM {name}").fetchall()

    def _lists(self, rows: list[Message]) -> None:
        def shown(every: list[Message]) -> list[str]:
            every = sorted(every, key=lambda row: row.message_id, reverse=True)
            return [row.message_id for row in sorted(every, key=lambda row: -row.received_at_ms)]

        for folder in (None, "inbox", JUNK, TRASH, "archive"):
            page = self.run(
                self.store.page("bob", folder, conditions=NO_FILTER, limit=500, cursor=None)
            )
            here = [
                row
                for row in rows
                if (folder in row.places if folder else row.places.keys() - {JUNK, TRASH})
            ]
            assert [row.message_id for row in page.messages] == shown(here)
            if folder:
                by_uid = self.run(self.store.by_uid("bob", folder, after_uid=0, limit=500))
                here.sort(key=lambda row: row.places[folder])
                assert by_uid == here
        for thread_id in {row.thread_id for row in rows}:
            page = self.run(self.store.thread("bob", thread_id, limit=500, cursor=None))
            members = [row.message_id for row in rows if row.thread_id == thread_id]
            assert sorted(row.message_id for row in page.messages) == sorted(members)

    async def _told(self) -> JournalReplay:
        snapshot = await self.store.snapshot("bob")
        records = await self.store.snapshot_records("bob", after_id="", limit=500)
        told = JournalReplay(snapshot.state, {record.message_id: record for record in records})
        for entry in await self.store.journal("bob", since_seq=snapshot.seq, limit=100_000):
            assert isinstance(entry, MailboxChanged)
            told.add(entry)
        return told


TestSteps = Steps.TestCase
TestSteps.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


@pytest.mark.parametrize("steps", range(0, 36, 3))
def test_commands_stand_between_any_two_steps(steps: int) -> None:
    """Run steps on an undamaged mailbox, which a wrong step would damage."""
    machine = Steps()
    machine.begin(step_max=2)
    machine.rebuild(parts=BOTH, count=steps)
    machine.mark(mail="m2", word="$seen", way="add", count=1)
    machine.mark(mail="m6", word="$flagged", way="add", count=1)
    machine.move(ids=["m3", "m1"], folder="archive", count=1)
    machine.deliver(mail="m8", folder="junk", count=1)
    machine.fold(keep=0)
    machine.delete(ids=["m4", "m5"], count=4)
    machine.fold(keep=1)
    machine.work_is_done_again()
    assert not machine.is_damaged
    machine.teardown()
    assert set(machine.answers.values()) <= {"unchanged", "not_found"}, "nothing was mended"
