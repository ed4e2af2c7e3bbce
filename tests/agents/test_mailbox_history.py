"""mailbox: random histories of commands, repeats, crashes at every await, and two owners."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from mail.errors import JournalConflict
from mail.ids import holder_of, message_id
from mail.mailbox.journal_replay import JournalReplay, row_of
from schemas.events.mailbox_commands import (
    Batch,
    ChangeFolder,
    ChangeMessages,
    ChangeSettings,
    CreateFolder,
    DeleteFolder,
    Deliver,
    DestroyMessages,
    EmptyFolder,
    ExpungeMessages,
    MarkAllRead,
    SequencedCommand,
    TrashMessages,
)
from schemas.events.mailbox_events import CommandAnswered, MailboxChanged
from schemas.holders import Holder
from schemas.mail import EmailAddress, HeaderSummary
from schemas.mailbox import MailboxState
from schemas.user_settings import Label, SettingsPatch
from tests.support.agent_builders import change, deliver, order
from tests.support.mailbox_model import PLAIN, Model
from tests.support.mailbox_partition import CHUNK_MAX, River, advance, run

USERS = ("ann", "bob")
OWN = ("f1", "f2")
users = st.sampled_from(USERS)
mail_ids = tuple(f"m{number}" for number in range(5))
mails = st.sampled_from(mail_ids)
many = st.lists(mails, min_size=1, max_size=3)
folders = st.sampled_from(["inbox", "junk", "trash", *OWN])
folder_lists = st.lists(folders, max_size=2)
names = st.sampled_from(["Work", " work", "Inbox", "a/b"])
parents = st.sampled_from(["", "", "inbox", *OWN])
keyword_lists = st.lists(st.sampled_from(["$seen", "Work", "not a keyword"]), max_size=2)


BATCH_FIELDS = {
    ChangeMessages: {"add_keywords": ("work",), "mark_deleted_in": ("inbox",)},
    TrashMessages: {},
    DestroyMessages: {"unchanged_since_seq": 9},
    ExpungeMessages: {"folder_id": "inbox", "only_marked": True},
}
BATCH_PARTS = [Deliver, *BATCH_FIELDS]


def mostly(*accepted: Any, refused: Any) -> st.SearchStrategy[Any]:
    """A value that the command accepts, and in one of ten cases one that it usually refuses."""
    return st.integers(0, 9).flatmap(
        lambda number: st.just(refused) if number == 9 else st.sampled_from(accepted)
    )


def head_of(mail: str) -> HeaderSummary:
    """Each mail answers the next one: a conversation whose beginning may come last.

    m4 answers m2, which m1 may have tied to another conversation than its own.
    """
    parent = "m2" if mail == "m4" else f"m{(int(mail[1:]) + 1) % 4}"
    sender = EmailAddress("", f"sender{int(mail[1:]) % 2}@x.test")
    return HeaderSummary(message_id=mail, references=(parent,), sender=sender)


class MailboxHistory(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.river = River()
        self.old_tables: list[dict[str, MailboxState]] = [{}]
        self.ghosts: list[Any] = []
        self.haunted = False  # an owner before the present one may have written meanwhile
        self.commands = 0

    def _order(self, kind: Any, user: str, *ids: str, **fields: Any) -> None:
        self.commands += 1
        self.river.log.append(order(kind, f"c{self.commands}", *ids, user_id=user, **fields))

    @rule(user=users, mail=mails, folder=folders)
    def order_delivery(self, user: str, mail: str, folder: str) -> None:
        self._deliver(deliver(mail, user_id=user, folder_id=folder, head=head_of(mail)))

    def _deliver(self, command: Deliver) -> None:
        """As `route` does: the holder first."""
        self._hold(command)
        self.river.log.append(command)

    def _hold(self, command: Deliver) -> None:
        mail, user = command.mail_id, command.user_id
        name = holder_of(mail, user, command.message_id)
        run(self.river.holders.hold([Holder(mail_id=mail, holder=name, ref=mail)]))

    @rule(user=users, folder=folders)
    def order_deliveries(self, user: str, folder: str) -> None:
        for mail in mail_ids:
            self.order_delivery(user, mail, folder)

    @rule(user=users, mail=mails)
    def order_delivery_by_another_way(self, user: str, mail: str) -> None:
        self.commands += 1
        self._deliver(deliver(mail, user_id=user, again=str(self.commands), head=head_of(mail)))

    @rule(user=users, ids=many, add=keyword_lists, remove=keyword_lists)
    def order_keywords(self, user: str, ids: list[str], add: list[str], remove: list[str]) -> None:
        words = {"add_keywords": tuple(add), "remove_keywords": tuple(remove)}
        self._order(ChangeMessages, user, *ids, **words)

    @rule(
        user=users,
        ids=many,
        to=st.none() | folder_lists,
        add=folder_lists,
        remove=folder_lists,
        seq=st.none() | st.integers(1, 3),
    )
    def order_move(
        self, user: str, ids: list[str], to: Any, add: list[str], remove: list[str], seq: int | None
    ) -> None:
        self._order(
            ChangeMessages, user, *ids,
            set_folder_ids=None if to is None else tuple(to),
            add_folder_ids=tuple(add), remove_folder_ids=tuple(remove), unchanged_since_seq=seq,
        )  # fmt: skip

    @rule(
        user=users,
        ids=many,
        mark=folder_lists,
        unmark=folder_lists,
        renew=folder_lists,
        words=st.none() | keyword_lists,
    )
    def order_marks(
        self, user: str, ids: list[str], mark: Any, unmark: Any, renew: Any, words: Any
    ) -> None:
        self._order(
            ChangeMessages, user, *ids, mark_deleted_in=tuple(mark),
            unmark_deleted_in=tuple(unmark), renew_uids_in=tuple(renew),
            set_keywords=None if words is None else tuple(words),
        )  # fmt: skip

    @rule(user=users, ids=many, folder=st.just("") | folders, only_marked=st.booleans())
    def order_expunge(self, user: str, ids: list[str], folder: str, only_marked: Any) -> None:
        self._order(ExpungeMessages, user, *ids, folder_id=folder, only_marked=only_marked)

    @rule(
        user=users,
        parts=st.lists(st.tuples(mails, st.sampled_from(BATCH_PARTS)), min_size=1, max_size=4),
        folder=folders,
        is_atomic=st.booleans(),
    )
    def order_batch(self, user: str, parts: Any, folder: str, is_atomic: Any) -> None:
        made = []
        for number, (mail, kind) in enumerate(parts):
            if kind is not Deliver:
                made.append(order(kind, f"p{number}", mail, user_id=user, **BATCH_FIELDS[kind]))
                continue
            part = deliver(
                mail, user_id=user, folder_id="inbox", more_folder_ids=(folder,),
                strict=True, head=head_of(mail),
            )  # fmt: skip
            self._hold(part)
            made.append(part)
        self._order(Batch, user, parts=tuple(made), is_atomic=is_atomic)

    @rule(user=users, ids=many)
    def order_removal(self, user: str, ids: list[str]) -> None:
        self._order(TrashMessages, user, *ids)

    @rule(user=users, ids=many, seq=st.integers(0, 12))
    def order_destruction(self, user: str, ids: list[str], seq: int) -> None:
        self._order(DestroyMessages, user, *ids, unchanged_since_seq=seq)

    @rule(user=users, folder=st.sampled_from(OWN), name=names, parent=parents)
    def order_folder(self, user: str, folder: str, name: str, parent: str) -> None:
        self._order(CreateFolder, user, folder_id=folder, name=name, parent_id=parent)

    @rule(
        user=users,
        folder=st.sampled_from(["inbox", *OWN]),
        name=st.none() | names,
        parent=st.none() | parents,
        subscribed=st.none() | st.booleans(),
    )
    def order_rename(self, user: str, folder: str, name: Any, parent: Any, subscribed: Any) -> None:
        self._order(
            ChangeFolder, user, folder_id=folder, name=name, parent_id=parent,
            subscribed=subscribed,
        )  # fmt: skip

    @rule(
        user=users,
        theme=mostly("dark", "system", "light", refused="pink"),
        undo_s=st.none() | mostly(0, 10, 20, refused=99),
        words=st.none() | st.lists(st.sampled_from(["work", "home"]), max_size=2),
        seq=mostly(None, 30, refused=1),
    )
    def order_settings(self, user: str, theme: str, undo_s: Any, words: Any, seq: Any) -> None:
        patch = {"theme": theme} | ({} if undo_s is None else {"undo_send_s": undo_s})
        if words is not None:
            patch["labels"] = tuple(Label(keyword=word, name="Word") for word in words)
        self._order(ChangeSettings, user, patch=SettingsPatch(**patch), unchanged_since_seq=seq)

    @rule(
        user=users,
        folder=folders,
        kind=st.sampled_from([MarkAllRead, EmptyFolder, EmptyFolder, DeleteFolder]),
        bound_uid=st.sampled_from([0, 2, 9, 99]),  # 0: an older version's
        rest=st.sampled_from(["trash", "destroy", "refuse"]),
    )
    def order_to_a_folder(
        self, user: str, folder: str, kind: Any, bound_uid: int, rest: str
    ) -> None:
        more = {"rest": rest} if kind is DeleteFolder else {}
        self._order(kind, user, folder_id=folder, bound_uid=bound_uid, **more)

    @rule(user=users, mail=mails, times=st.integers(1, 4))
    def order_to_and_fro(self, user: str, mail: str, times: int) -> None:
        for number in range(times):
            step = {"remove" if number % 2 else "add": ["$seen"]}
            self.commands += 1
            self.river.log.append(change(f"c{self.commands}", mail, user_id=user, **step))

    @rule(back=st.integers(min_value=1, max_value=6))
    def order_again(self, back: int) -> None:
        """A publish in doubt was repeated: the same command at another offset."""
        if self.river.log:
            self.river.log.append(self.river.log[-min(back, len(self.river.log))])

    @rule(window=st.integers(1, 8), order=st.lists(st.integers(0, 1), max_size=60))
    def work_until_killed(self, window: int, order: list[int]) -> None:
        """Users concurrently, in any interleaving; what is not finished then is killed."""
        chains = self.river.chains(self.river.owner, window=window)
        with self._conflict_if_haunted():
            for pick in order:
                if chains and advance(chain := chains[pick % len(chains)]):
                    chains.remove(chain)
        for chain in chains:
            chain.close()
        if chains:
            self._new_owner(-1)

    @rule(window=st.integers(1, 8))
    def work_in_peace(self, window: int) -> None:
        chains = self.river.chains(self.river.owner, window=window)
        with self._conflict_if_haunted():
            for chain in chains:
                run(chain)
            chains.clear()
        if chains:  # fatal: the process ends and starts again
            self._end(chains)
            self._new_owner(-1)
        self.old_tables.append(dict(self.river.owner.unread.states))

    @rule(steps=st.lists(st.integers(0, 12), max_size=4))
    def store_will_falter(self, steps: list[int]) -> None:
        self.river.falters_in = steps

    @rule(table=st.integers(0, 20), steps=st.lists(st.integers(0, 12), min_size=2, max_size=2))
    def lose_the_partition(self, table: int, steps: list[int]) -> None:
        """The old owner's handlers still stand somewhere in the middle, and go on later."""
        chains = self.river.chains(self.river.owner, window=4)
        with self._conflict_if_haunted():
            for chain, count in zip(chains, steps, strict=False):
                if not advance(chain, steps=count):
                    self.ghosts.append(chain)
        self._new_owner(table)

    @rule(steps=st.integers(1, 30))
    def ghosts_go_on(self, steps: int) -> None:
        try:
            self.ghosts = [ghost for ghost in self.ghosts if not advance(ghost, steps=steps)]
        except JournalConflict:  # fatal, for the process that lost the partition
            self._end(self.ghosts)

    @contextmanager
    def _conflict_if_haunted(self) -> Iterator[None]:
        try:
            yield
        except JournalConflict:
            assert self.haunted

    def _end(self, chains: list[Any]) -> None:
        for chain in chains:
            chain.close()
        self.ghosts = [ghost for ghost in self.ghosts if ghost not in chains]

    def _new_owner(self, table: int) -> None:
        self.old_tables.append(dict(self.river.owner.unread.states))
        self.haunted = bool(self.ghosts)
        stale = self.old_tables[max(table, -1) % len(self.old_tables)]
        self.river.take_over(stale=dict(stale))

    def teardown(self) -> None:
        if not hasattr(self, "river"):
            return
        self.river.falters_in = []
        with suppress(JournalConflict):
            for ghost in self.ghosts:
                run(ghost)
        self._end(list(self.ghosts))
        self._new_owner(-1)
        while self.river.committed < len(self.river.log):
            for chain in self.river.chains(self.river.owner, window=64):
                run(chain)
        for user in USERS:
            self._check(user)
        answered = {event.command_id for event in self.river.published}
        changes = (command for command in self.river.log if isinstance(command, SequencedCommand))
        assert answered == {command.command_id for command in changes}

    def _check(self, user: str) -> None:
        model = Model(chunk_max=CHUNK_MAX)
        for command in self.river.log:
            if command.user_id == user and isinstance(command, SequencedCommand):
                model.apply(command)
        journal = run(self.river.store.journal(user, since_seq=0, limit=10_000))
        assert [entry.seq for entry in journal] == list(range(1, len(journal) + 1))
        for entry, step in zip(journal, model.steps, strict=True):
            told = {
                one.message_id: (one.places, one.keywords, one.deleted_in) for one in entry.changes
            }
            assert (entry.command_id, told) == (step.command.command_id, step.changed)
            assert {one.message_id: one.left for one in entry.changes if one.left} == step.left
            assert entry.usage is not None
            assert (entry.usage.size_bytes, entry.usage.messages) == step.usage
            assert bool(entry.follow_up) == step.goes_on
            assert msgspec.to_builtins(entry.settings or SettingsPatch()) == step.chosen
            assert entry.follow_up is None or entry.follow_up in self.river.log
        self._check_rows(user, model, journal)
        self._check_feed(user, journal)

    def _check_rows(self, user: str, model: Model, journal: list[MailboxChanged]) -> None:
        box, state = model.box, run(self.river.store.load(user))
        rows = run(self.river.store.rows(user, list(box.messages)))
        assert rows.keys() == box.messages.keys()
        for id_, row in rows.items():
            kept = box.messages[id_]
            assert (row.places, row.keywords, row.deleted_in) == kept.told
            assert (row.thread_id, row.created_seq) == (kept.thread_id, kept.created_seq)
            assert (row.changed_seq, row.destroyed) == (kept.changed_seq, not kept.places)
            name = holder_of(row.mail_id, user, id_)
            assert ((row.mail_id, name) in self.river.holders.rows) != row.destroyed
        if model.steps:
            counts = {
                id_: (one.total, one.unread, one.deleted, one.size_bytes)
                for id_, one in state.folders.items()
            }
            some = {id_: each for id_, each in counts.items() if each[0] + each[2]}
            assert some == model.steps[-1].counts
        alive = {id_: (it.name, it.parent_id) for id_, it in state.own.items() if not it.deleting}
        assert alive == box.own
        assert {id_ for id_, it in state.own.items() if it.deleting} == box.dying
        assert {id_: one.next_uid - 1 for id_, one in state.folders.items()} == {
            id_: box.uids[id_] for id_ in state.folders
        }
        assert {
            id_: one.uidvalidity for id_, one in state.folders.items() if one.uidvalidity
        } == box.validity
        settings = {id_: (it.subscribed, it.sort_order) for id_, it in state.settings.items()}
        assert settings == box.settings
        self._check_views(user, model, journal)
        self._check_settings(user, model)
        self._check_correspondents(user, model)
        self._check_journal_alone(user, state, rows, journal)

    def _check_views(self, user: str, model: Model, journal: list[MailboxChanged]) -> None:
        """Slots, uids that ended, and modseqs, by a way of their own."""
        for folder in ("inbox", "trash", *OWN):
            slots = run(self.river.store.slots(user, folder))
            kept = {it.places[folder]: it for it in model.alive().values() if folder in it.places}
            assert dict(zip(slots.uids, slots.changed_seqs, strict=True)) == {
                uid: it.changed_seq for uid, it in sorted(kept.items())
            }
            ended = [
                (entry.seq, one.left[folder])
                for entry in journal for one in entry.changes if folder in one.left
            ]  # fmt: skip
            for since in (0, len(journal) // 2):
                gone = run(self.river.store.vanished(user, folder, since_seq=since))
                assert gone == tuple(sorted({uid for seq, uid in ended if seq > since}))

    def _check_settings(self, user: str, model: Model) -> None:
        stored = run(self.river.store.settings(user))
        chosen = msgspec.to_builtins(stored.settings)
        assert {name: chosen[name] for name in PLAIN} == PLAIN | model.box.chosen
        assert stored.changed_seq == model.box.chosen_seq
        assert run(self.river.store.load(user)).type_seqs.settings == model.box.chosen_seq

    def _check_correspondents(self, user: str, model: Model) -> None:
        """A sender counts when a message comes out of junk and trash."""
        counts: Counter[str] = Counter()
        placed: dict[str, bool] = {}
        senders = {message_id(mail, user): head_of(mail).sender for mail in mail_ids}
        for step in model.steps:
            for id_, (places, _, _) in step.changed.items():
                is_placed = bool(set(places) - {"junk", "trash"})
                counts[senders[id_].address] += is_placed and not placed.get(id_, False)
                placed[id_] = is_placed
        rows = run(self.river.store.correspondents(user, "sender", limit=9))
        assert {one.address: one.received for one in rows} == +counts

    def _check_journal_alone(self, user: str, state: Any, rows: Any, journal: Any) -> None:
        """Journal and heads are enough to make state and rows again."""
        told = JournalReplay(MailboxState(), {})
        for entry in journal:
            told.add(entry)
        assert told.state == state
        assert told.settings == run(self.river.store.settings(user))
        assert self.river.owner.unread.get(user) in (None, state)
        made = {
            id_: row_of(record, user_id=user, domain_id="d1", head=rows[id_].head)
            for id_, record in told.records.items()
        }
        assert made == rows

    def _check_feed(self, user: str, journal: list[MailboxChanged]) -> None:
        """Every entry was published, always the same, and first in the journal's order."""
        events = [event for event in self.river.published if event.user_id == user]
        changes = [event for event in events if not isinstance(event, CommandAnswered)]
        assert list(dict.fromkeys(event.seq for event in changes)) == [e.seq for e in journal]
        by_seq = {entry.seq: entry for entry in journal}
        assert all(event == by_seq[event.seq] for event in changes)
        ordered = Counter(command.command_id for command in self.river.log)
        denied = {event.command_id for event in events if isinstance(event, CommandAnswered)}
        once = {entry.command_id for entry in journal if ordered[entry.command_id] == 1}
        assert not once & denied, "what has changed something is never said to change nothing"


TestMailboxHistory = MailboxHistory.TestCase
TestMailboxHistory.settings = settings(max_examples=400, stateful_step_count=40, deadline=None)


def test_a_lost_owner_never_publishes_ahead_of_what_it_missed() -> None:
    """Its entry precedes a row that the new owner changes, in the journal but not published yet."""
    river = River()
    river.log += [deliver(), change("c1", add=["$seen"]), change("c2", remove=["$seen"])]
    run(river.chains(river.owner, window=1)[0])
    (lost,) = river.chains(river.owner, window=2)
    advance(lost, steps=2)
    (killed,) = river.chains(river.take_over(stale={}), window=1)
    advance(killed, steps=6)
    killed.close()
    run(lost)
    (last,) = river.chains(river.take_over(stale={}), window=2)
    run(last)
    assert list(dict.fromkeys(event.seq for event in river.published)) == [1, 2, 3]
