"""The mailbox over its whole life: random commands, repeats, crashes at every await, two owners."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from mail.errors import JournalConflict
from mail.keywords import normal_keywords
from schemas.events import CommandAnswered, Deliver, MailboxChanged
from schemas.mailbox import SEEN, MailboxState
from tests.agents.made import change, deliver
from tests.agents.river import River, advance, run

USERS = ("ann", "bob")
KEYWORDS = ("$seen", "Work", "not a keyword")
users = st.sampled_from(USERS)
mails = st.sampled_from([f"m{number}" for number in range(2)])
keyword_lists = st.lists(st.sampled_from(KEYWORDS), max_size=2)


class Model:
    """What a mailbox is after commands, said as simply as can be."""

    def __init__(self) -> None:
        self.messages: dict[str, tuple[str, tuple[str, ...]]] = {}
        self.history: list[tuple[str, str, tuple[str, ...]]] = []

    def apply(self, command: Any) -> None:
        if command.command_id in {known for known, _, _ in self.history}:
            return
        if isinstance(command, Deliver):
            self._deliver(command)
        else:
            self._change(command)

    def _deliver(self, command: Deliver) -> None:
        if command.message_id not in self.messages:
            self.messages[command.message_id] = (command.folder_id, ())
            self.history.append((command.command_id, command.message_id, ()))

    def _change(self, command: Any) -> None:
        add, remove = normal_keywords(command.add), normal_keywords(command.remove)
        if add is None or remove is None or command.message_id not in self.messages:
            return
        folder, before = self.messages[command.message_id]
        after = tuple(sorted((set(before) - remove) | add))
        if after != before:
            self.messages[command.message_id] = (folder, after)
            self.history.append((command.command_id, command.message_id, after))


class MailboxHistory(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.river = River()
        self.old_tables: list[dict[str, MailboxState]] = [{}]
        self.ghosts: list[Any] = []
        self.haunted = False  # an owner before the present one may have written meanwhile
        self.commands = 0

    @rule(user=users, mail=mails, folder=st.sampled_from(["inbox", "junk"]))
    def order_delivery(self, user: str, mail: str, folder: str) -> None:
        self.river.log.append(deliver(mail, user_id=user, folder_id=folder))

    @rule(user=users, mail=mails)
    def order_delivery_by_another_way(self, user: str, mail: str) -> None:
        self.commands += 1
        self.river.log.append(deliver(mail, user_id=user, again=str(self.commands)))

    @rule(user=users, mail=mails, add=keyword_lists, remove=keyword_lists)
    def order_keywords(self, user: str, mail: str, add: list[str], remove: list[str]) -> None:
        self.commands += 1
        self.river.log.append(
            change(f"c{self.commands}", mail, user_id=user, add=add, remove=remove)
        )

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
        self._end(self.ghosts)
        self._new_owner(0)  # alone again: from here on no conflict is forgiven
        while self.river.committed < len(self.river.log):
            for chain in self.river.chains(self.river.owner, window=64):
                run(chain)
        for user in USERS:
            self._check(user)
        answered = {event.command_id for event in self.river.published}
        assert answered == {command.command_id for command in self.river.log}

    def _check(self, user: str) -> None:
        model = Model()
        for command in self.river.log:
            if command.user_id == user:
                model.apply(command)
        journal = run(self.river.store.journal(user, since_seq=0, limit=10_000))
        told = [(entry.command_id, entry.message_id, entry.keywords) for entry in journal]
        assert told == model.history
        assert [entry.seq for entry in journal] == list(range(1, len(journal) + 1))
        self._check_rows(user, model, journal)
        self._check_feed(user, journal)

    def _check_rows(self, user: str, model: Model, journal: list[MailboxChanged]) -> None:
        rows = run(self.river.store.messages(user, list(model.messages)))
        found = {id_: (next(iter(row.places)), row.keywords) for id_, row in rows.items()}
        assert found == model.messages
        state = run(self.river.store.load(user))
        table = self.river.owner.unread.get(user)
        assert table in (None, state)
        totals = Counter(folder for folder, _ in model.messages.values())
        unread = Counter(folder for folder, keys in model.messages.values() if SEEN not in keys)
        assert {id_: one.total for id_, one in state.folders.items()} == dict(totals)
        assert {id_: one.unread for id_, one in state.folders.items() if one.unread} == dict(unread)
        for folder, one in state.folders.items():
            uids = sorted(row.places[folder] for row in rows.values() if folder in row.places)
            assert uids == list(range(1, one.next_uid))

    def _check_feed(self, user: str, journal: list[MailboxChanged]) -> None:
        """Every entry was published, always the same, and first in the journal's order."""
        events = [event for event in self.river.published if event.user_id == user]
        changes = [event for event in events if not isinstance(event, CommandAnswered)]
        assert list(dict.fromkeys(event.seq for event in changes)) == [e.seq for e in journal]
        by_seq = {entry.seq: entry for entry in journal}
        assert all(event == by_seq[event.seq] for event in changes)


TestMailboxHistory = MailboxHistory.TestCase
TestMailboxHistory.settings = settings(max_examples=400, stateful_step_count=40, deadline=None)


def test_a_lost_owner_never_publishes_ahead_of_what_it_missed() -> None:
    """It stands before a row that the new owner changes, in the journal but not yet published."""
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
