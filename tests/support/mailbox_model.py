"""An independent model of a mailbox after commands, as simple as possible.

The model shares no code with mail/. It reads the log in order, applies each command once, and
records the changes by comparing the mailbox before and after.
"""

import copy
from collections import Counter
from dataclasses import dataclass, field

from mail.ids import derived_id
from schemas.events.mailbox_commands import (
    ChangeFolder,
    ChangeMessages,
    Command,
    CreateFolder,
    DeleteFolder,
    Deliver,
    DestroyMessages,
    EmptyFolder,
    MarkAllRead,
    MessageCommand,
    TrashMessages,
)

STANDARD = ("inbox", "sent", "drafts", "junk", "trash", "archive")


class Refused(Exception):
    """The command is refused: nothing changes."""


@dataclass
class Kept:
    """A message; one without places is destroyed."""

    places: dict[str, int]
    keywords: tuple[str, ...]
    size_bytes: int
    thread_id: str
    created_seq: int
    changed_seq: int


@dataclass
class Box:
    """The parts of a mailbox that commands change."""

    messages: dict[str, Kept] = field(default_factory=dict)
    own: dict[str, tuple[str, str]] = field(default_factory=dict)  # id -> name, parent
    dying: set[str] = field(default_factory=set)
    uids: Counter[str] = field(default_factory=Counter)
    threads: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """The expected journal entry of one seq."""

    command: Command
    changed: dict[str, tuple[dict[str, int], tuple[str, ...]]]
    counts: dict[str, tuple[int, int]]  # of all folders that have messages, after it
    own: dict[str, tuple[str, str]]
    usage: tuple[int, int]
    goes_on: bool


class Model:
    """A mailbox that applies commands one by one."""

    def __init__(self, *, chunk_max: int = 500) -> None:
        self.box = Box()
        self.steps: list[Step] = []
        self._chunk_max = chunk_max
        self._done: set[str] = set()
        self._goes_on = False

    @property
    def seq(self) -> int:
        return len(self.steps)

    def apply(self, command: Command) -> bool:
        """Apply the command; return whether it made a step."""
        if command.command_id in self._done:
            return False
        before, self._goes_on = copy.deepcopy(self.box), False
        try:
            _DO[type(command)](self, command)
        except Refused:
            self.box = before
            return False
        if self.box == before and not self._goes_on:
            return False
        self._bury()
        self._done.add(command.command_id)
        self.steps.append(self._step(command, before))
        return True

    def alive(self) -> dict[str, Kept]:
        return {id_: kept for id_, kept in self.box.messages.items() if kept.places}

    def _step(self, command: Command, before: Box) -> Step:
        changed = {
            id_: (kept.places, kept.keywords)
            for id_, kept in self.box.messages.items()
            if kept != before.messages.get(id_)
        }
        for id_ in changed:
            self.box.messages[id_].changed_seq = self.seq + 1
        alive = self.alive().values()
        return Step(
            command=command,
            changed=copy.deepcopy(changed),
            counts=counted(alive),
            own=dict(self.box.own),
            usage=(sum(kept.size_bytes for kept in alive), len(alive)),
            goes_on=self._goes_on,
        )

    def _bury(self) -> None:
        """Remove deleted folders that are empty."""
        used = {folder for kept in self.box.messages.values() for folder in kept.places}
        for folder in self.box.dying - used:
            del self.box.uids[folder]
        self.box.dying &= used

    def _there(self, folder: str) -> bool:
        return folder in STANDARD or folder in self.box.own

    def _uid(self, folder: str) -> int:
        self.box.uids[folder] += 1
        return self.box.uids[folder]

    def _put(self, kept: Kept, folders: list[str]) -> None:
        kept.places = {id_: kept.places.get(id_) or self._uid(id_) for id_ in folders}

    def _deliver(self, command: Deliver) -> None:
        if command.message_id in self.box.messages:
            raise Refused
        folder = command.folder_id if self._there(command.folder_id) else "inbox"
        words = tuple(sorted({word.lower() for word in command.keywords}))
        self.box.messages[command.message_id] = Kept(
            {folder: self._uid(folder)}, words, command.content.size_bytes,
            self._thread(command), self.seq + 1, self.seq + 1,
        )  # fmt: skip

    def _thread(self, command: Deliver) -> str:
        head, bound = command.head, self.box.threads
        ties = [head.message_id, *head.in_reply_to, *head.references[::-1]]
        known = [bound[tie] for tie in ties if tie in bound]
        thread = known[0] if known else derived_id(command.message_id, "thread")
        for tie in filter(None, ties):
            bound.setdefault(tie, thread)
        return thread

    def _chosen(self, command: MessageCommand) -> list[Kept]:
        ids = [id_ for id_ in dict.fromkeys(command.message_ids) if id_ in self.alive()]
        chosen = [self.box.messages[id_] for id_ in ids]
        wanted = getattr(command, "if_changed_seq", None)
        if wanted is not None and any(kept.changed_seq != wanted for kept in chosen):
            raise Refused
        return chosen

    def _change(self, command: ChangeMessages) -> None:
        add, remove = command.add_keywords, command.remove_keywords
        named = {*(command.set_folder_ids or ()), *command.add_folder_ids}
        if any(" " in word for word in (*add, *remove)) or not all(map(self._there, named)):
            raise Refused
        for kept in self._chosen(command):
            words = set(kept.keywords) - {word.lower() for word in remove}
            kept.keywords = tuple(sorted(words | {word.lower() for word in add}))
            kept_in = kept.places if command.set_folder_ids is None else command.set_folder_ids
            stays = [id_ for id_ in kept_in if id_ not in command.remove_folder_ids]
            folders = list(dict.fromkeys([*stays, *command.add_folder_ids]))
            if not folders:
                raise Refused
            self._put(kept, folders)

    def _trash(self, command: TrashMessages) -> None:
        for kept in self._chosen(command):
            self._put(kept, ["trash"])

    def _destroy(self, command: DestroyMessages) -> None:
        for kept in self._chosen(command):
            as_seen = kept.changed_seq <= command.unchanged_since_seq
            if as_seen and not set(kept.places) - {"trash", "junk"}:
                kept.places, kept.keywords = {}, ()

    def _create(self, command: CreateFolder) -> None:
        if command.folder_id in {*self.box.own, *self.box.dying}:
            raise Refused
        self._name(command.folder_id, command.name, command.parent_id)

    def _rename(self, command: ChangeFolder) -> None:
        if command.folder_id not in self.box.own:
            raise Refused
        name, parent = self.box.own[command.folder_id]
        name = name if command.name is None else command.name
        parent = parent if command.parent_id is None else command.parent_id
        self._name(command.folder_id, name, parent)

    def _name(self, id_: str, name: str, parent: str) -> None:
        name, above = name.strip(), parent
        while above in self.box.own:
            if above == id_:
                raise Refused
            above = self.box.own[above][1]
        others = {
            other.lower()
            for key, (other, place) in self.box.own.items()
            if key != id_ and place == parent
        }
        taken = others | (set() if parent else set(STANDARD))
        if not name or "/" in name or name.lower() in taken or (above and above not in STANDARD):
            raise Refused
        self.box.own[id_] = name, parent

    def _sweep(self, order: MarkAllRead | EmptyFolder | DeleteFolder) -> None:
        if not order.chunk and not self._there(order.folder_id):
            raise Refused
        if isinstance(order, DeleteFolder) and not order.chunk:
            if 0 < order.bound_uid <= self.box.uids[order.folder_id]:
                raise Refused
            self._close(order.folder_id)
        for_good = isinstance(order, EmptyFolder) and order.folder_id in ("trash", "junk")
        if for_good and not order.bound_uid:
            raise Refused
        bound = order.bound_uid or self.box.uids[order.folder_id] + 1
        due = sorted(
            (kept.places[order.folder_id], id_)
            for id_, kept in self.box.messages.items()
            if order.after_uid < kept.places.get(order.folder_id, 0) < bound
        )
        changed = 0
        for looked, (_, id_) in enumerate(due):
            if changed == self._chunk_max or looked == 10 * self._chunk_max:
                self._goes_on = True
                return
            changed += self._swept(order, self.box.messages[id_])
        # Only another read shows that no message is left.
        full = changed == self._chunk_max or len(due) == 10 * self._chunk_max
        self._goes_on = full

    def _close(self, folder: str) -> None:
        if folder not in self.box.own or any(up == folder for _, up in self.box.own.values()):
            raise Refused
        del self.box.own[folder]
        self.box.dying.add(folder)

    def _swept(self, order: MarkAllRead | EmptyFolder | DeleteFolder, kept: Kept) -> bool:
        before = copy.deepcopy(kept)
        elsewhere = [id_ for id_ in kept.places if id_ != order.folder_id]
        if isinstance(order, MarkAllRead):
            kept.keywords = tuple(sorted({*kept.keywords, "$seen"}))
        elif elsewhere:
            self._put(kept, elsewhere)
        elif order.folder_id in ("trash", "junk"):
            kept.places, kept.keywords = {}, ()
        else:
            self._put(kept, ["trash"])
        return kept != before


_DO = {
    Deliver: Model._deliver,
    ChangeMessages: Model._change,
    TrashMessages: Model._trash,
    DestroyMessages: Model._destroy,
    CreateFolder: Model._create,
    ChangeFolder: Model._rename,
    MarkAllRead: Model._sweep,
    EmptyFolder: Model._sweep,
    DeleteFolder: Model._sweep,
}


def counted(messages) -> dict[str, tuple[int, int]]:
    """Total and unread count of each folder that has a message."""
    rows = [(folder, kept.keywords) for kept in messages for folder in kept.places]
    total = Counter(folder for folder, _ in rows)
    unread = Counter(folder for folder, keywords in rows if "$seen" not in keywords)
    return {folder: (total[folder], unread[folder]) for folder in total}
