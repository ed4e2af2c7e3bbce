"""An independent model of a mailbox after commands, as simple as possible.

The model shares no code with mail/. It reads the log in order, applies each command once, and
records the changes by comparing the mailbox before and after.
"""

import copy
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mail.ids import derived_id
from schemas.events.mailbox_commands import (
    Batch,
    ChangeFolder,
    ChangeMessages,
    ChangeSettings,
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

PLAIN: dict[str, Any] = {"theme": "system", "undo_send_s": 10, "labels": ()}  # settings, unchanged
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
    deleted_in: frozenset[str] = frozenset()

    @property
    def told(self) -> tuple[dict[str, int], tuple[str, ...], tuple[str, ...]]:
        return self.places, self.keywords, tuple(sorted(self.deleted_in))


@dataclass
class Box:
    """The parts of a mailbox that commands change."""

    messages: dict[str, Kept] = field(default_factory=dict)
    own: dict[str, tuple[str, str]] = field(default_factory=dict)  # id -> name, parent
    validity: dict[str, int] = field(default_factory=dict)
    last_validity: int = 0
    settings: dict[str, tuple[bool, int]] = field(default_factory=dict)
    dying: set[str] = field(default_factory=set)
    uids: Counter[str] = field(default_factory=Counter)
    threads: dict[str, str] = field(default_factory=dict)
    chosen: dict[str, Any] = field(default_factory=dict)  # settings that were ever changed
    chosen_seq: int = 0


@dataclass(frozen=True)
class Step:
    """The expected journal entry of one seq."""

    command: Command
    changed: dict[str, tuple[dict[str, int], tuple[str, ...], tuple[str, ...]]]
    left: dict[str, dict[str, int]]  # by message id
    counts: dict[str, tuple[int, int, int, int]]  # of all folders that have messages, after it
    own: dict[str, tuple[str, str]]
    usage: tuple[int, int]
    goes_on: bool
    chosen: dict[str, Any]  # settings that changed


class Model:
    """A mailbox that applies commands one by one."""

    def __init__(self, *, chunk_max: int = 500) -> None:
        self.box = Box()
        self.steps: list[Step] = []
        self._chunk_max = chunk_max
        self._done: set[str] = set()
        self._failed = False  # a message of the present command was not changed
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
            id_: kept.told
            for id_, kept in self.box.messages.items()
            if kept != before.messages.get(id_)
        }
        places = {id_: before.messages[id_].places for id_ in changed if id_ in before.messages}
        left = {
            id_: {key: uid for key, uid in old.items() if changed[id_][0].get(key) != uid}
            for id_, old in places.items()
        }
        for id_ in changed:
            self.box.messages[id_].changed_seq = self.seq + 1
        alive = self.alive().values()
        return Step(
            command=command,
            changed=copy.deepcopy(changed),
            left={id_: ended for id_, ended in left.items() if ended},
            counts=counted(alive),
            own=dict(self.box.own),
            usage=(sum(kept.size_bytes for kept in alive), len(alive)),
            goes_on=self._goes_on,
            chosen={
                name: value for name, value in self.box.chosen.items()
                if before.chosen.get(name, PLAIN[name]) != value
            },
        )  # fmt: skip

    def _bury(self) -> None:
        """Remove deleted folders that are empty."""
        used = {folder for kept in self.box.messages.values() for folder in kept.places}
        for folder in self.box.dying - used:
            del self.box.uids[folder]
            del self.box.validity[folder]
            self.box.settings.pop(folder, None)
        self.box.dying &= used

    def _there(self, folder: str) -> bool:
        return folder in STANDARD or folder in self.box.own

    def _uid(self, folder: str) -> int:
        self.box.uids[folder] += 1
        return self.box.uids[folder]

    def _put(self, kept: Kept, folders: list[str]) -> None:
        kept.places = {id_: kept.places.get(id_) or self._uid(id_) for id_ in folders}
        kept.deleted_in &= kept.places.keys()

    def _bury_message(self, kept: Kept) -> None:
        kept.places, kept.keywords, kept.deleted_in = {}, (), frozenset()

    def _deliver(self, command: Deliver) -> None:
        if command.message_id in self.box.messages:
            raise Refused
        wanted = (command.folder_id, *command.more_folder_ids)
        if command.strict and not all(map(self._there, wanted)):
            raise Refused
        folders = dict.fromkeys(id_ if self._there(id_) else "inbox" for id_ in wanted)
        words = tuple(sorted({word.lower() for word in command.keywords}))
        self.box.messages[command.message_id] = Kept(
            {folder: self._uid(folder) for folder in folders}, words, command.content.size_bytes,
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
        """The messages that exist and have not changed since the command's author read them."""
        ids = [id_ for id_ in dict.fromkeys(command.message_ids) if id_ in self.alive()]
        self._failed |= len(ids) < len(command.message_ids)
        since = command.unchanged_since_seq
        chosen = [self.box.messages[id_] for id_ in ids]
        fresh = [kept for kept in chosen if since is None or kept.changed_seq <= since]
        self._failed |= len(fresh) < len(chosen)
        return fresh

    def _change(self, command: ChangeMessages) -> None:
        add, remove = command.add_keywords, command.remove_keywords
        named = {*(command.set_folder_ids or ()), *command.add_folder_ids}
        given = (*add, *remove, *(command.set_keywords or ()))
        if any(" " in word for word in given) or not all(map(self._there, named)):
            raise Refused
        for kept in self._chosen(command):
            base = kept.keywords if command.set_keywords is None else command.set_keywords
            words = {word.lower() for word in base} - {word.lower() for word in remove}
            kept_in = kept.places if command.set_folder_ids is None else command.set_folder_ids
            stays = [id_ for id_ in kept_in if id_ not in command.remove_folder_ids]
            folders = list(dict.fromkeys([*stays, *command.add_folder_ids]))
            if not folders:
                self._failed = True
                continue
            kept.keywords = tuple(sorted(words | {word.lower() for word in add}))
            renewed = set(command.renew_uids_in) & set(folders)
            kept.deleted_in -= renewed
            kept.places = {id_: uid for id_, uid in kept.places.items() if id_ not in renewed}
            kept.deleted_in &= kept.places.keys()
            marks = kept.deleted_in | set(command.mark_deleted_in)
            self._put(kept, folders)
            kept.deleted_in = frozenset(marks - set(command.unmark_deleted_in)) & set(folders)

    def _trash(self, command: TrashMessages) -> None:
        for kept in self._chosen(command):
            self._put(kept, ["trash"])

    def _destroy(self, command: DestroyMessages) -> None:
        for kept in self._chosen(command):
            if set(kept.places) - {"trash", "junk"}:
                self._failed = True
            else:
                self._bury_message(kept)

    def _expunge(self, command: ExpungeMessages) -> None:
        for kept in self._chosen(command):
            removed = {command.folder_id} if command.folder_id else set(kept.places)
            unmarked = command.only_marked and removed - kept.deleted_in
            if removed - set(kept.places) or unmarked:
                self._failed = True
            elif rest := [id_ for id_ in kept.places if id_ not in removed]:
                self._put(kept, rest)
            else:
                self._bury_message(kept)

    def _batch(self, command: Batch) -> None:
        ids = [id_ for part in command.parts for id_ in getattr(part, "message_ids", ())]
        ids += [part.message_id for part in command.parts if isinstance(part, Deliver)]
        if len(set(ids)) < len(ids):
            raise Refused
        self._failed = False
        for part in command.parts:
            if isinstance(part, Deliver) and part.message_id in self.box.messages:
                continue
            try:
                _DO[type(part)](self, part)
            except Refused:
                self._failed = True
        if command.is_atomic and self._failed:
            raise Refused

    def _create(self, command: CreateFolder) -> None:
        if command.folder_id in {*self.box.own, *self.box.dying}:
            raise Refused
        self._name(command.folder_id, command.name, command.parent_id, at_ms=command.at_ms)

    def _rename(self, command: ChangeFolder) -> None:
        id_ = command.folder_id
        if not self._there(id_):
            raise Refused
        on, order = self.box.settings.get(id_, (True, 0))
        on = on if command.subscribed is None else command.subscribed
        order = order if command.sort_order is None else command.sort_order
        self.box.settings[id_] = on, order
        if (on, order) == (True, 0):
            del self.box.settings[id_]
        if (command.name, command.parent_id) == (None, None):
            return
        if id_ not in self.box.own:
            raise Refused
        name, parent = self.box.own[id_]
        name = name if command.name is None else command.name
        parent = parent if command.parent_id is None else command.parent_id
        self._name(command.folder_id, name, parent, at_ms=command.at_ms)

    def _name(self, id_: str, name: str, parent: str, *, at_ms: int) -> None:
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
        if self.box.own.get(id_) == (name, parent):
            return
        self.box.own[id_] = name, parent
        self._validate(id_, at_ms)

    def _validate(self, id_: str, at_ms: int) -> None:
        """A folder of a new full name, and all inside it, get a new uidvalidity."""
        self.box.last_validity = max(at_ms // 1000, self.box.last_validity + 1)
        self.box.validity[id_] = self.box.last_validity
        for child, (_, parent) in self.box.own.items():
            if parent == id_:
                self._validate(child, at_ms)

    def _sweep(self, order: MarkAllRead | EmptyFolder | DeleteFolder) -> None:
        if not order.chunk and not self._there(order.folder_id):
            raise Refused
        if isinstance(order, DeleteFolder) and not order.chunk:
            if 0 < order.bound_uid <= self.box.uids[order.folder_id]:
                raise Refused
            lying = any(order.folder_id in kept.places for kept in self.box.messages.values())
            if order.rest == "refuse" and lying:
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

    def _choose(self, command: ChangeSettings) -> None:
        since = command.unchanged_since_seq
        if since is not None and self.box.chosen_seq > since:
            raise Refused
        known = PLAIN | self.box.chosen
        wanted = msgspec.to_builtins(command.patch)
        new = {name: value for name, value in wanted.items() if known[name] != value}
        words = [label["keyword"] for label in new.get("labels", ())]
        if (
            new.get("theme") == "pink"
            or new.get("undo_send_s", 0) > 60
            or len(set(words)) < len(words)
        ):
            raise Refused
        if new:
            self.box.chosen |= new
            self.box.chosen_seq = self.seq + 1

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
        elif order.folder_id in ("trash", "junk") or getattr(order, "rest", "") == "destroy":
            self._bury_message(kept)
        else:
            self._put(kept, ["trash"])
        return kept != before


_DO = {
    Deliver: Model._deliver,
    ChangeMessages: Model._change,
    TrashMessages: Model._trash,
    DestroyMessages: Model._destroy,
    ExpungeMessages: Model._expunge,
    Batch: Model._batch,
    CreateFolder: Model._create,
    ChangeFolder: Model._rename,
    ChangeSettings: Model._choose,
    MarkAllRead: Model._sweep,
    EmptyFolder: Model._sweep,
    DeleteFolder: Model._sweep,
}


def counted(messages) -> dict[str, tuple[int, int, int, int]]:
    """Total, unread, deleted and size of each folder that has a message."""
    counts: dict[str, list[int]] = {}
    for kept in messages:
        for folder in kept.places:
            each = counts.setdefault(folder, [0, 0, 0, 0])
            shown = folder not in kept.deleted_in
            each[0] += shown
            each[1] += shown and "$seen" not in kept.keywords
            each[2] += not shown
            each[3] += kept.size_bytes
    return {folder: tuple(each) for folder, each in counts.items()}
