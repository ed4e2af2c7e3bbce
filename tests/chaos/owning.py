"""Actions of owners during the faults, and a model of the states that their mailboxes may have.

Owners mark, move, delete and restore single mails, many mails and folders. One thread runs all
actions, so that the requests have an order. A request without a response may or may not have been
applied: the model then contains both states, until a later response excludes one. A request for a
large folder is applied in chunks after later requests: its remaining changes stay possible.
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
READ_FOLDERS = ("inbox", "inbox", "inbox", "junk", "trash")
MANY = 500  # messages in one request
Key = tuple[str, str]  # address of the owner, token of the mail
Row = dict[str, Any]
PossibleFolders = set[str]


@dataclass(slots=True)
class FolderModel:
    names: set[str]
    exists: set[bool] = field(default_factory=lambda: {True})


class Owner:
    """The mailbox of one owner, with all states that it may have."""

    def __init__(self, address: str, client: Client, chance: random.Random) -> None:
        self.address = address
        self.places: dict[str, PossibleFolders] = {}  # by token
        self.keywords: dict[str, dict[str, set[bool]]] = {}  # by token
        self.folders: dict[str, FolderModel] = {}
        self.uncertain_names: set[str] = set()
        self.pending_read: set[str] = set()  # tokens of mails that an open request may still mark
        self.contradictions: list[str] = []
        self.success_at_s: list[float] = []
        self.done: Counter[str] = Counter()
        self._client = client
        self._chance = chance
        self._names = 0

    def act(self) -> None:
        """Run one random action. Raises OSError: no response, or an error response."""
        acts = {
            self._mark: 6, self._move: 4, self._delete: 4, self._restore: 3, self._collect: 2,
            self._delete_many: 1, self._empty_trash: 1, self._create_folder: 2, self._rename: 1,
            self._mark_folder_read: 2, self._delete_folder: 1,
        }  # fmt: skip
        act = self._chance.choices(list(acts), weights=list(acts.values()))[0]
        act()
        self.done[act.__name__.strip("_")] += 1

    def _choose_message(self, folder: str = "") -> tuple[str, Row] | None:
        """Return the token and row of a random message in `folder`, or in a random folder."""
        own = [id_ for id_, model in self.folders.items() if model.exists == {True}]
        rows = self._read_rows(folder or self._chance.choice((*READ_FOLDERS, *own)), limit=30)
        return self._chance.choice(list(rows.items())) if rows else None

    def _read_rows(self, folder: str, *, limit: int) -> dict[str, Row]:
        """Return the newest rows of a folder by token, and add new mails to the model."""
        path = f"/v1/folders/{folder}/messages?limit={limit}"
        rows = self._client.call("GET", path)["messages"]
        self.success_at_s.append(time.monotonic())
        rows_by_token = {row["subject"].rpartition(" ")[2]: row for row in rows}
        for token in rows_by_token:
            if folder not in self.places.setdefault(token, {folder}):
                self.contradictions.append(
                    f"{token} is in {folder}, possible are {self.places[token]}"
                )
            self.keywords.setdefault(token, {"unread": {True}, "flagged": {False}})
        return rows_by_token

    def _mark(self) -> None:
        if (message := self._choose_message()) is None:
            return
        token, row = message
        change = {name: self._chance.random() < 0.5 for name in ("unread", "flagged")}
        before = {name: set(values) for name, values in self.keywords[token].items()}
        for name, value in change.items():
            self.keywords[token][name].add(value)  # both values are possible from here on
        match self._request("PATCH", f"/v1/messages/{row['id']}", change):
            case True:
                self.keywords[token] = {name: {value} for name, value in change.items()}
                if token in self.pending_read:
                    self.keywords[token]["unread"].add(False)
            case False:
                self.keywords[token] = before

    def _move(self) -> None:
        self._move_one(
            self._choose_message(), self._chance.choice(("archive", "inbox", *self.folders))
        )

    def _restore(self) -> None:
        """Move a message from Trash to the inbox."""
        self._move_one(self._choose_message("trash"), "inbox")

    def _move_one(self, message: tuple[str, Row] | None, to: str) -> None:
        if message is None:
            return
        token, row = message
        path, change = f"/v1/messages/{row['id']}", {"folder_ids": [to]}
        self._request_move(
            [token], lambda place: to if place != GONE else GONE, "PATCH", path, change
        )

    def _delete(self) -> None:
        """Delete a message: move it to Trash, or destroy it in Trash and Junk."""
        if (message := self._choose_message()) is None:
            return
        token, row = message
        self._request_move([token], _folder_after_delete, "DELETE", f"/v1/messages/{row['id']}")

    def _collect(self) -> None:
        """Move all messages of the inbox to one folder, which becomes large."""
        if (folder := self._choose_folder()) is None:
            return
        rows = self._read_rows("inbox", limit=MANY)
        self._request_moves(
            rows, lambda place: folder if place != GONE else GONE,
            "PATCH", "/v1/messages", {"folder_ids": [folder]},
        )  # fmt: skip

    def _delete_many(self) -> None:
        """Delete half of the messages of a folder by one request."""
        rows = self._read_rows(self._chance.choice((*READ_FOLDERS, "archive")), limit=MANY)
        some = self._chance.sample(list(rows.items()), len(rows) // 2)
        self._request_moves(dict(some), _folder_after_delete, "POST", "/v1/messages/delete", {})

    def _empty_trash(self) -> None:
        """Empty Trash. A message that may be in Trash may also arrive there later, and stay."""
        tokens = [token for token, places in self.places.items() if places == {"trash"}]
        in_doubt = [
            places for places in self.places.values() if "trash" in places and places != {"trash"}
        ]
        for places in in_doubt:
            places.add(GONE)
        self._request_move(
            tokens, lambda place: GONE if place == "trash" else place,
            "POST", "/v1/folders/trash/empty",
        )  # fmt: skip

    def _create_folder(self) -> None:
        if len(self.folders) >= OWN_FOLDERS:
            return
        name = self._new_name()
        self.uncertain_names.add(name)
        folder = self._client.call("POST", "/v1/folders", {"name": name})
        if "location" not in folder:
            self.uncertain_names.discard(name)
            self.folders[folder["id"]] = FolderModel({name})

    def _rename(self) -> None:
        if (folder := self._choose_folder()) is None:
            return
        name, model = self._new_name(), self.folders[folder]
        before = set(model.names)
        model.names.add(name)
        match self._request("PATCH", f"/v1/folders/{folder}", {"name": name}):
            case True:
                model.names = {name}
            case False:
                model.names = before

    def _mark_folder_read(self) -> None:
        """Mark all messages of a folder as read."""
        if (folder := self._choose_folder()) is None:
            return
        tokens = [token for token, places in self.places.items() if folder in places]
        for token in tokens:
            self.keywords[token]["unread"].add(False)
        fresh = set(tokens) - self.pending_read
        self.pending_read |= fresh
        if self._request("POST", f"/v1/folders/{folder}/read"):
            self.pending_read -= fresh
            for token in tokens:
                if self.places[token] == {folder}:
                    self.keywords[token]["unread"] = {False}

    def _delete_folder(self) -> None:
        """Delete a folder; its messages are moved to Trash."""
        if (folder := self._choose_folder()) is None:
            return
        tokens = [token for token, places in self.places.items() if folder in places]
        self.folders[folder].exists.add(False)
        done = self._request_move(
            tokens, lambda place: "trash" if place == folder else place,
            "DELETE", f"/v1/folders/{folder}",
        )  # fmt: skip
        if done is not None:
            self.folders[folder].exists = {not done}

    def _request_move(
        self, tokens: Iterable[str], effect: Callable[[str], str], *asked: Any
    ) -> bool | None:
        """Send a request that may move messages; returns as `_request`."""
        before, after = self._apply_to_model(tokens, effect)
        done = self._request(*asked)
        if done is not None:
            self.places |= after if done else before
        return done

    def _apply_to_model(
        self, tokens: Iterable[str], effect: Callable[[str], str]
    ) -> tuple[dict[str, PossibleFolders], dict[str, PossibleFolders]]:
        """Return the folders before and after a request, and make both possible in the model."""
        before = {token: set(self.places[token]) for token in tokens}
        after = {token: set(map(effect, places)) for token, places in before.items()}
        self.places |= {token: before[token] | after[token] for token in before}
        return before, after

    def _request_moves(
        self, rows: dict[str, Row], effect: Callable[[str], str],
        method: str, path: str, body: dict[str, Any],
    ) -> None:  # fmt: skip
        """Send one request for many messages; each message has an outcome of its own."""
        if not rows:
            return
        before, after = self._apply_to_model(rows, effect)
        ids = {row["id"]: token for token, row in rows.items()}
        answer = self._client.call(method, path, {"ids": list(ids), **body})
        for result in answer["outcomes"]:
            token = ids[result["id"]]
            if result["outcome"] != "accepted":
                self.places[token] = (before if result["outcome"] in NOT_DONE else after)[token]

    def _request(self, method: str, path: str, body: object = None) -> bool | None:
        """Return whether the request was applied; None: it was accepted, and applied later or not.

        Raises OSError: it may have been applied.
        """
        try:
            answer = self._client.call(method, path, body)
        except Unwilling as error:
            if error.code in NO_CHANGE:
                return False
            raise
        return None if answer and "location" in answer else True

    def _choose_folder(self) -> str | None:
        folders = [id_ for id_, model in self.folders.items() if model.exists == {True}]
        return self._chance.choice(folders) if folders else None

    def _new_name(self) -> str:
        self._names += 1
        return f"Box {self._names}"


def _folder_after_delete(place: str) -> str:
    return GONE if place in {"trash", "junk", GONE} else "trash"
