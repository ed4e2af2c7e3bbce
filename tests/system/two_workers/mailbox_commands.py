"""Random commands for many mailboxes: deliveries, changes, bulk folder commands, and repeats."""

import random
from typing import Any

import msgspec

from schemas.content import Stored
from schemas.events.mailbox_commands import (
    Batch,
    ChangeFolder,
    ChangeMessages,
    Command,
    CreateFolder,
    DeleteFolder,
    Deliver,
    DestroyMessages,
    EmptyFolder,
    ExpungeMessages,
    MarkAllRead,
    MessageCommand,
    TrashMessages,
)
from schemas.mail import EmailAddress, HeaderSummary, Verdict

USERS = tuple(f"user-{number:02}" for number in range(50))
FOLDERS_USED = ("inbox", "inbox", "junk", "archive", "own-0", "own-1")
WORDS = ("$seen", "$seen", "$flagged", "Work", "no keyword")
REPEATED_WITHIN = 400  # commands, so that a repeat often comes after a kill
CHUNK_MAX = 4  # so that bulk folder commands need several chunks


def sender_of(mail_id: str) -> str:
    """The sender of a generated mail: one of a few, so that steps change the same rows."""
    return f"from-{int(mail_id.rpartition('-')[2]) % 3}@example.org"


class CommandGenerator:
    """Generates random commands; `repeats` counts those that were generated before."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._known: dict[str, list[str]] = {user: [] for user in USERS}
        self._given: list[Command] = []
        self._kinds = (
            (45, self._delivery), (30, self._change), (8, self._removal), (4, self._creation),
            (3, self._renaming), (10, self._folder_order), (8, self._batch),
        )  # fmt: skip
        self.repeats = 0

    def more(self, count: int) -> list[Command]:
        return [self._next() for _ in range(count)]

    def _next(self) -> Command:
        if self._dice.random() < 0.1 and self._given:
            self.repeats += 1
            return self._dice.choice(self._given[-REPEATED_WITHIN:])
        weights = [weight for weight, _ in self._kinds]
        ((_, make),) = self._dice.choices(self._kinds, weights)
        command: Command = make(self._user())
        self._given.append(command)
        return command

    def _user(self) -> str:
        """Return a user; some are much busier than others, so that their commands are adjacent."""
        return USERS[min(int(self._dice.expovariate(0.08)), len(USERS) - 1)]

    def _ids(self, user: str) -> dict[str, Any]:
        number = len(self._given)
        at_ms = 1_700_000_000_000 + number
        return {"command_id": f"c{number}", "user_id": user, "domain_id": "d1", "at_ms": at_ms}

    def _delivery(self, user: str) -> Deliver:
        number, known = len(self._given), self._known[user]
        again = known and self._dice.random() < 0.06
        mail = self._dice.choice(known) if again else f"mail-{number}"
        if not again:
            known.append(mail)
        return Deliver(
            **self._ids(user),
            message_id=self._message_id(user, mail),
            mail_id=mail,
            folder_id=self._dice.choice(FOLDERS_USED),
            keywords=tuple(self._words()[:1]) if self._dice.random() < 0.2 else (),
            content=Stored(mail, 10, "0" * 64),
            received_at_ms=1_700_000_000_000 + self._dice.randrange(10**9),
            head=HeaderSummary(
                subject=mail,
                sender=EmailAddress("", sender_of(mail)),
                message_id=mail,
                in_reply_to=tuple(known[-9:-8]),
            ),
            verdict=Verdict(outcome="clean"),
            hops=(),
        )

    def _change(self, user: str) -> ChangeMessages:
        places: dict[str, Any] = {}
        if self._dice.random() < 0.4:
            name = self._dice.choice(["set_folder_ids", "add_folder_ids", "remove_folder_ids"])
            places[name] = (self._dice.choice(FOLDERS_USED),)
        if self._dice.random() < 0.3:
            mark = self._dice.choice(["mark_deleted_in", "unmark_deleted_in", "renew_uids_in"])
            places[mark] = ("inbox",)
        return ChangeMessages(
            **self._ids(user),
            **places,
            message_ids=self._messages(user),
            add_keywords=self._words(refusable=True),
            remove_keywords=self._words(refusable=True),
        )

    def _removal(self, user: str) -> MessageCommand:
        fields = {**self._ids(user), "message_ids": self._messages(user)}
        kind = self._dice.choice([TrashMessages, DestroyMessages, ExpungeMessages])
        if kind is TrashMessages:
            return TrashMessages(**fields)
        if kind is ExpungeMessages:
            return ExpungeMessages(**fields, folder_id="inbox", only_marked=True)
        seen_seq = self._dice.randrange(2 * len(self._known[user]) + 1)
        return DestroyMessages(**fields, unchanged_since_seq=seen_seq)

    def _batch(self, user: str) -> Batch:
        """A delivery and changes of other messages, in one step."""
        delivery, taken, parts = self._delivery(user), set[str](), []
        taken.add(delivery.message_id)
        for make in (self._change, self._removal):
            part = make(user)
            ids = tuple(id_ for id_ in dict.fromkeys(part.message_ids) if id_ not in taken)
            taken.update(ids)
            parts += [msgspec.structs.replace(part, message_ids=ids)] if ids else []
        is_atomic = self._dice.random() < 0.3
        return Batch(**self._ids(user), parts=(delivery, *parts), is_atomic=is_atomic)

    def _creation(self, user: str) -> CreateFolder:
        folder_id = f"own-{self._dice.randrange(2)}"
        name = self._dice.choice(["Work", "work", "Tea", "a/b"])
        parent_id = self._dice.choice(["", "archive"])
        return CreateFolder(**self._ids(user), folder_id=folder_id, name=name, parent_id=parent_id)

    def _renaming(self, user: str) -> ChangeFolder:
        return ChangeFolder(
            **self._ids(user), folder_id=f"own-{self._dice.randrange(2)}", parent_id="own-0"
        )

    def _folder_order(self, user: str) -> Command:
        kind = self._dice.choice([MarkAllRead, EmptyFolder, DeleteFolder])
        bound_uid = self._dice.randrange(len(self._known[user]) + 2)  # 0: an older version's
        folder_id = self._dice.choice((*FOLDERS_USED, "trash"))
        return kind(**self._ids(user), folder_id=folder_id, bound_uid=bound_uid)

    def _messages(self, user: str) -> tuple[str, ...]:
        mails = self._known[user][-12:] or ["mail-nowhere"]
        picked = self._dice.choices(mails, k=self._dice.randint(1, 3))
        return tuple(self._message_id(user, mail) for mail in picked)

    def _message_id(self, user: str, mail: str) -> str:
        return f"{user}/{mail}"

    def _words(self, *, refusable: bool = False) -> tuple[str, ...]:
        some = self._dice.sample(WORDS, self._dice.randrange(3)) if refusable else ["Work", "$seen"]
        return tuple(dict.fromkeys(some))
