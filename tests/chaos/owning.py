"""What owners do while things break: mark, move, delete and restore mails, one or all, and whole
folders.

One thread for all, so that their orders have an order. An order without an answer may have been
carried out or not: from then on both are possible, until an answer settles it. An order to a large
folder goes on behind later ones, chunk by chunk: what it is still to mark stays in doubt.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.support.stack_world import Client, Unwilling

GONE = "gone"
NO_CHANGE = frozenset({404, 409})
NOT_DONE = frozenset({"not_found", "refused", "conflict"})
OWN_FOLDERS = 3  # of one owner, at most
LOOKED_AT = ("inbox", "inbox", "inbox", "junk", "trash")
MANY = 500  # messages in one order
Key = tuple[str, str]  # owner's address, token of the mail
Row = dict[str, Any]
Places = set[str]


@dataclass(slots=True)
class OwnFolder:
    names: set[str]
    there: set[bool] = field(default_factory=lambda: {True})


class Owner:
    """One owner's mailbox as it may be now."""

    def __init__(self, address: str, client: Client, chance: random.Random) -> None:
        self.address = address
        self.places: dict[str, Places] = {}  # by token, of mails that were ordered about
        self.keywords: dict[str, dict[str, set[bool]]] = {}  # by token
        self.folders: dict[str, OwnFolder] = {}
        self.names_in_doubt: set[str] = set()
        self.being_read: set[str] = set()  # tokens of mails that an open order may mark yet
        self.strange: list[str] = []
        self.good_at_s: list[float] = []
        self.done: Counter[str] = Counter()
        self._client = client
        self._chance = chance
        self._names = 0

    def act(self) -> None:
        """One thing of many. OSError: no answer, or none that settles anything."""
        acts = {
            self._mark: 6, self._move: 4, self._delete: 4, self._restore: 3, self._gather: 2,
            self._clear: 1, self._empty: 1, self._make: 2, self._rename: 1, self._read: 2,
            self._drop: 1,
        }  # fmt: skip
        act = self._chance.choices(list(acts), weights=list(acts.values()))[0]
        act()
        self.done[act.__name__.strip("_")] += 1

    def _pick(self, folder: str = "") -> tuple[str, Row] | None:
        """A message from the folder, or from one that is looked at: its token and its row."""
        own = [id_ for id_, it in self.folders.items() if it.there == {True}]
        found = self._look(folder or self._chance.choice((*LOOKED_AT, *own)), limit=30)
        return self._chance.choice(list(found.items())) if found else None

    def _look(self, folder: str, *, limit: int) -> dict[str, Row]:
        """The newest rows of a folder by token; each is known from here on."""
        path = f"/v1/folders/{folder}/messages?limit={limit}"
        rows = self._client.call("GET", path)["messages"]
        self.good_at_s.append(time.monotonic())
        found = {row["subject"].rpartition(" ")[2]: row for row in rows}
        for token in found:
            if folder not in self.places.setdefault(token, {folder}):
                self.strange.append(f"{token} is seen in {folder}, and was {self.places[token]}")
            self.keywords.setdefault(token, {"unread": {True}, "flagged": {False}})
        return found

    def _mark(self) -> None:
        if (found := self._pick()) is None:
            return
        token, row = found
        change = {name: self._chance.random() < 0.5 for name in ("unread", "flagged")}
        before = {name: set(values) for name, values in self.keywords[token].items()}
        for name, value in change.items():
            self.keywords[token][name].add(value)  # in doubt from here on
        match self._asked("PATCH", f"/v1/messages/{row['id']}", change):
            case True:
                self.keywords[token] = {name: {value} for name, value in change.items()}
                if token in self.being_read:
                    self.keywords[token]["unread"].add(False)
            case False:
                self.keywords[token] = before

    def _move(self) -> None:
        self._move_one(self._pick(), self._chance.choice(("archive", "inbox", *self.folders)))

    def _restore(self) -> None:
        """Out of the trash."""
        self._move_one(self._pick("trash"), "inbox")

    def _move_one(self, found: tuple[str, Row] | None, to: str) -> None:
        if found is None:
            return
        token, row = found
        path, change = f"/v1/messages/{row['id']}", {"folder_ids": [to]}
        self._ordered([token], lambda place: to if place != GONE else GONE, "PATCH", path, change)

    def _delete(self) -> None:
        """To the trash; from there and from junk for good."""
        if (found := self._pick()) is None:
            return
        token, row = found
        self._ordered([token], _deleted, "DELETE", f"/v1/messages/{row['id']}")

    def _gather(self) -> None:
        """All of the inbox into a folder, which becomes large."""
        if (folder := self._own()) is None:
            return
        there = self._look("inbox", limit=MANY)
        self._order_many(
            there, lambda place: folder if place != GONE else GONE,
            "PATCH", "/v1/messages", {"folder_ids": [folder]},
        )  # fmt: skip

    def _clear(self) -> None:
        """Half of a folder at once: to the trash, from there and from junk for good."""
        there = self._look(self._chance.choice((*LOOKED_AT, "archive")), limit=MANY)
        some = self._chance.sample(list(there.items()), len(there) // 2)
        self._order_many(dict(some), _deleted, "POST", "/v1/messages/delete", {})

    def _empty(self) -> None:
        """What may be in the trash or elsewhere may come there behind the order, and stay."""
        tokens = [token for token, places in self.places.items() if places == {"trash"}]
        in_doubt = [it for it in self.places.values() if "trash" in it and it != {"trash"}]
        for places in in_doubt:
            places.add(GONE)
        self._ordered(
            tokens, lambda place: GONE if place == "trash" else place,
            "POST", "/v1/folders/trash/empty",
        )  # fmt: skip

    def _make(self) -> None:
        if len(self.folders) >= OWN_FOLDERS:
            return
        name = self._name()
        self.names_in_doubt.add(name)
        made = self._client.call("POST", "/v1/folders", {"name": name})
        if "location" not in made:
            self.names_in_doubt.discard(name)
            self.folders[made["id"]] = OwnFolder({name})

    def _rename(self) -> None:
        if (folder := self._own()) is None:
            return
        name, it = self._name(), self.folders[folder]
        before = set(it.names)
        it.names.add(name)
        match self._asked("PATCH", f"/v1/folders/{folder}", {"name": name}):
            case True:
                it.names = {name}
            case False:
                it.names = before

    def _read(self) -> None:
        """All of a folder as read."""
        if (folder := self._own()) is None:
            return
        there = [token for token, places in self.places.items() if folder in places]
        for token in there:
            self.keywords[token]["unread"].add(False)
        fresh = set(there) - self.being_read
        self.being_read |= fresh
        if self._asked("POST", f"/v1/folders/{folder}/read"):
            self.being_read -= fresh
            for token in there:
                if self.places[token] == {folder}:
                    self.keywords[token]["unread"] = {False}

    def _drop(self) -> None:
        """Delete a folder; what lies in it goes to the trash."""
        if (folder := self._own()) is None:
            return
        tokens = [token for token, places in self.places.items() if folder in places]
        self.folders[folder].there.add(False)
        done = self._ordered(
            tokens, lambda place: "trash" if place == folder else place,
            "DELETE", f"/v1/folders/{folder}",
        )  # fmt: skip
        if done is not None:
            self.folders[folder].there = {not done}

    def _ordered(
        self, tokens: Iterable[str], effect: Callable[[str], str], *asked: Any
    ) -> bool | None:
        """An order that may change places; as `_asked`."""
        before, after = self._doubt(tokens, effect)
        done = self._asked(*asked)
        if done is not None:
            self.places |= after if done else before
        return done

    def _doubt(
        self, tokens: Iterable[str], effect: Callable[[str], str]
    ) -> tuple[dict[str, Places], dict[str, Places]]:
        """Places before and after an order; both are possible from here on."""
        before = {token: set(self.places[token]) for token in tokens}
        after = {token: set(map(effect, places)) for token, places in before.items()}
        self.places |= {token: before[token] | after[token] for token in before}
        return before, after

    def _order_many(
        self, rows: dict[str, Row], effect: Callable[[str], str],
        method: str, path: str, body: dict[str, Any],
    ) -> None:  # fmt: skip
        """An order to all of these, each of which has an outcome of its own."""
        if not rows:
            return
        before, after = self._doubt(rows, effect)
        ids = {row["id"]: token for token, row in rows.items()}
        answer = self._client.call(method, path, {"ids": list(ids), **body})
        for one in answer["outcomes"]:
            token = ids[one["id"]]
            if one["outcome"] != "accepted":
                self.places[token] = (before if one["outcome"] in NOT_DONE else after)[token]

    def _asked(self, method: str, path: str, body: object = None) -> bool | None:
        """Whether it was carried out; None: it will be, or will be refused. OSError: in doubt."""
        try:
            answer = self._client.call(method, path, body)
        except Unwilling as error:
            if error.code in NO_CHANGE:
                return False
            raise
        return None if answer and "location" in answer else True

    def _own(self) -> str | None:
        there = [id_ for id_, it in self.folders.items() if it.there == {True}]
        return self._chance.choice(there) if there else None

    def _name(self) -> str:
        self._names += 1
        return f"Box {self._names}"


def _deleted(place: str) -> str:
    return GONE if place in {"trash", "junk", GONE} else "trash"
