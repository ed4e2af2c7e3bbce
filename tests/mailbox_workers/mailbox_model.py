"""Random commands for many mailboxes, and what a mailbox is after them, said as simply as can be.

The model shares no code with mail/mailbox.py: it is the test's own word on what should happen.
"""

import random
from collections import Counter
from dataclasses import dataclass, field

from schemas.content import Stored
from schemas.events import ChangeKeywords, Command, Deliver, Position
from schemas.mail import Head, Verdict

USERS = tuple(f"user-{number:02}" for number in range(50))
FOLDERS_USED = ("inbox", "inbox", "junk", "archive")
WORDS = ("$seen", "$seen", "$flagged", "Work", "no keyword")
REPEATED_WITHIN = 400  # commands, so that a repeat often comes after a kill


@dataclass(frozen=True)
class Told:
    """What the journal must say at one seq."""

    command_id: str
    position: Position
    message_id: str
    keywords: tuple[str, ...]
    places: dict[str, int]


@dataclass
class Model:
    """One mailbox, command after command."""

    messages: dict[str, tuple[str, int, tuple[str, ...]]] = field(default_factory=dict)
    history: list[Told] = field(default_factory=list)
    counts: list[dict[str, tuple[int, int]]] = field(default_factory=list)  # after each seq
    done: set[str] = field(default_factory=set)

    def apply(self, command: Command, position: Position) -> None:
        if command.command_id in self.done:
            return
        deliver = isinstance(command, Deliver)
        after = self._delivered(command) if deliver else self._changed(command)
        if after is not None:
            self._write(command, position, after)

    def _delivered(self, command: Deliver) -> tuple[str, int, tuple[str, ...]] | None:
        if command.message_id in self.messages:
            return None
        uid = 1 + sum(folder == command.folder_id for folder, _, _ in self.messages.values())
        return command.folder_id, uid, tuple(sorted(word.lower() for word in command.keywords))

    def _changed(self, command: ChangeKeywords) -> tuple[str, int, tuple[str, ...]] | None:
        before = self.messages.get(command.message_id)
        if before is None or any(" " in word for word in (*command.add, *command.remove)):
            return None
        add, remove = ({word.lower() for word in each} for each in (command.add, command.remove))
        keywords = tuple(sorted((set(before[2]) - remove) | add))
        return None if keywords == before[2] else (before[0], before[1], keywords)

    def _write(
        self, command: Command, position: Position, after: tuple[str, int, tuple[str, ...]]
    ) -> None:
        folder, uid, keywords = after
        self.messages[command.message_id] = after
        self.done.add(command.command_id)
        self.history.append(
            Told(command.command_id, position, command.message_id, keywords, {folder: uid})
        )
        self.counts.append(counted(self.messages.values()))


def counted(messages) -> dict[str, tuple[int, int]]:
    """Total and unread of each folder, from (folder, uid, keywords) of every message."""
    rows = list(messages)
    total = Counter(folder for folder, _, _ in rows)
    unread = Counter(folder for folder, _, keywords in rows if "$seen" not in keywords)
    return {folder: (total[folder], unread[folder]) for folder in total}


class Orders:
    """A stream of commands: mail, keywords, other orders for a known mail, and plain repeats."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._known: dict[str, list[str]] = {user: [] for user in USERS}
        self._given: list[Command] = []
        self.repeats = 0

    def more(self, count: int) -> list[Command]:
        return [self._next() for _ in range(count)]

    def _next(self) -> Command:
        kind = self._dice.random()
        if kind < 0.1 and self._given:
            self.repeats += 1
            return self._dice.choice(self._given[-REPEATED_WITHIN:])
        command = self._delivery() if kind < 0.55 else self._change()
        self._given.append(command)
        return command

    def _user(self) -> str:
        """Some are much busier than others, so that their commands lie close together."""
        return USERS[min(int(self._dice.expovariate(0.08)), len(USERS) - 1)]

    def _delivery(self) -> Deliver:
        user, number = self._user(), len(self._given)
        known = self._known[user]
        again = known and self._dice.random() < 0.06
        mail = self._dice.choice(known) if again else f"mail-{number}"
        if not again:
            known.append(mail)
        return Deliver(
            command_id=f"c{number}",
            user_id=user,
            domain_id="d1",
            message_id=f"{user}/{mail}",
            mail_id=mail,
            folder_id=self._dice.choice(FOLDERS_USED),
            keywords=tuple(self._words()[:1]) if self._dice.random() < 0.2 else (),
            content=Stored(mail, 10, "0" * 64),
            received_at_ms=1_700_000_000_000 + self._dice.randrange(10**9),
            at_ms=1_700_000_000_000 + number,
            head=Head(subject=mail),
            verdict=Verdict(outcome="clean"),
            hops=(),
        )

    def _change(self) -> ChangeKeywords:
        user, number = self._user(), len(self._given)
        mails = self._known[user][-12:] or ["mail-nowhere"]
        return ChangeKeywords(
            command_id=f"c{number}",
            user_id=user,
            domain_id="d1",
            message_id=f"{user}/{self._dice.choice(mails)}",
            add=self._words(refusable=True),
            remove=self._words(refusable=True),
            at_ms=1_700_000_000_000 + number,
        )

    def _words(self, *, refusable: bool = False) -> tuple[str, ...]:
        some = self._dice.sample(WORDS, self._dice.randrange(3)) if refusable else ["Work", "$seen"]
        return tuple(dict.fromkeys(some))
