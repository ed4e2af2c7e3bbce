"""Invariants that must hold after every run, for any faults.

Each check yields one sentence per violation.
"""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.support import ROOT
from tests.support.stack_world import Client, World
from tests.support.waiting import eventually

from .load import Attempt, Load
from .mails import WORD
from .owning import GONE

DRAINED_WITHIN_S = 600.0  # a stalled worker is restarted after 300 s
Row = dict[str, Any]


@dataclass(slots=True)
class Findings:
    """The mailboxes as the API shows them to their owners, by the token of each mail."""

    load: Load
    world: World
    owners: dict[str, Client]
    rows: dict[str, dict[str, list[Row]]] = field(default_factory=dict)  # owner, token
    folders: dict[str, list[tuple[str, Row]]] = field(default_factory=dict)

    def all(self) -> list[str]:
        """Wait until the stack is idle, then run all checks."""
        wait_until_drained(self.world)
        self._read()
        checks = (
            self.mails(), self.quarantine(), self.bytes_and_scans(), self.keywords(),
            self.own_folders(), self.counts(), self.feeds(), self.search(), self.words(),
            self.dead_letters(), self.audit(), self.verify(),
        )  # fmt: skip
        return [sentence for check in checks for sentence in check]

    def _read(self) -> None:
        for address, owner in self.owners.items():
            ids = [folder["id"] for folder in owner.call("GET", "/v1/folders")["folders"]]
            rows = [(folder, row) for folder in ids for row in owner.messages(folder)]
            self.folders[address] = rows
            self.rows[address] = defaultdict(list)
            for folder, row in rows:
                token = row["subject"].rpartition(" ")[2]
                self.rows[address][token].append({**row, "folder": folder})

    def mails(self) -> Iterator[str]:
        """Each mail is in a possible folder: exactly once if it was accepted, else at most once."""
        for attempt in self.load.attempts:
            for address in self.owners:
                yield from self._check_mail(
                    attempt, address, self.rows[address].get(attempt.mail.token, [])
                )
        known = {attempt.mail.token for attempt in self.load.attempts}
        for address, tokens in self.rows.items():
            yield from (
                f"{address} has {token}, which was not sent" for token in tokens.keys() - known
            )

    def _check_mail(self, attempt: Attempt, address: str, found: list[Row]) -> Iterator[str]:
        mail, name = (
            attempt.mail,
            f"{attempt.mail.kind} mail {attempt.mail.token} {attempt.mail_id}",
        )
        if address not in mail.owners:
            yield from (f"{name} is in the mailbox of {address}, not a recipient" for _ in found)
        elif mail.folder is None:
            yield from (f"{name} was delivered to {address}" for _ in found)
        elif len(found) > 1:
            yield f"{name} is {len(found)} times in the mailbox of {address}"
        else:
            places = self.load.owners[address].places.get(mail.token, {mail.folder})
            place = found[0]["folder"] if found else GONE
            if place not in places and (found or attempt.outcome == "accepted"):
                yield f"{name} got {attempt.reply}; {address} has it in {place}, not in {places}"

    def quarantine(self) -> Iterator[str]:
        rows = self._cli("quarantine", "list", "--json", "--limit", "500")
        quarantined = {row["mail_id"] for row in rows}
        for attempt in self.load.attempts:
            if attempt.outcome != "accepted":
                continue
            if attempt.mail.folder is None and attempt.mail_id not in quarantined:
                yield f"{attempt.mail.kind} mail {attempt.mail_id} is not in quarantine"
            if attempt.mail.folder is not None and attempt.mail_id in quarantined:
                yield f"{attempt.mail.kind} mail {attempt.mail_id} is in quarantine"

    def bytes_and_scans(self) -> Iterator[str]:
        """Each delivered mail equals the mail that was sent, and has been scanned."""
        sent = {attempt.mail.token: attempt.mail.data for attempt in self.load.attempts}
        for address, rows_by_token in self.rows.items():
            owner = self.owners[address]
            for token, rows in rows_by_token.items():
                path = f"/v1/messages/{rows[0]['id']}"
                if not owner.raw("GET", f"{path}/raw").endswith(sent[token]):
                    yield f"{token} of {address} has other bytes than were sent"
                hops = owner.call("GET", path)["hops"]
                if not any(hop["stage"] == "scan" and hop["verdict"] for hop in hops):
                    yield f"{token} was delivered to {address} unscanned"

    def keywords(self) -> Iterator[str]:
        for address, owner in self.load.owners.items():
            yield from (f"{address}: {sentence}" for sentence in owner.contradictions)
            for token, keywords in owner.keywords.items():
                for row in self.rows[address].get(token, []):
                    for name, possible in keywords.items():
                        if row[name] not in possible:
                            yield f"{token} of {address}: {name} is {row[name]}"

    def own_folders(self) -> Iterator[str]:
        """Exactly the created and not deleted folders exist, with their last names."""
        for address, owner in self.load.owners.items():
            rows = self.owners[address].call("GET", "/v1/folders")["folders"]
            names = {row["id"]: row["name"] for row in rows if not row.get("role")}
            for id_, model in owner.folders.items():
                if (id_ in names) not in model.exists:
                    yield f"the folder {model.names} of {address}: the folders are {names}"
                if id_ in names and names[id_] not in model.names:
                    yield f"a folder of {address} is {names[id_]}, not {model.names}"
            unknown = {name for id_, name in names.items() if id_ not in owner.folders}
            yield from (f"{address} has {name}" for name in unknown - owner.uncertain_names)

    def counts(self) -> Iterator[str]:
        for address, owner in self.owners.items():
            for folder in owner.call("GET", "/v1/folders")["folders"]:
                rows = [row for place, row in self.folders[address] if place == folder["id"]]
                recount = len(rows), sum(row["unread"] for row in rows)
                if recount != (folder["total"], folder["unread"]):
                    counts = folder["total"], folder["unread"]
                    yield f"{folder['id']} of {address} counts {counts}, a recount {recount}"

    def feeds(self) -> Iterator[str]:
        """Each journal has every seq from 1 on, the state row the last, no correspondent lacks.

        The product's own check of correspondents knows no more than a lower bound.
        """
        for address, feed in self._feeds().items():
            seqs = feed["seqs"]
            if seqs != list(range(1, len(seqs) + 1)):
                yield f"the feed of {address} has gaps"
            if feed["state"] != len(seqs):
                yield f"the state of {address} is at {feed['state']}, its feed at {len(seqs)}"
            if feed["correspondents"] != feed["received"]:
                counts = feed["correspondents"], feed["received"]
                yield f"correspondents of {address}: {counts[0]}, by the journal {counts[1]}"

    def search(self) -> Iterator[str]:
        """The index has exactly the messages of each mailbox."""
        for address, owner in self.owners.items():
            ids = {row["id"] for _, row in self.folders[address]}
            hits = set(search_all(owner, WORD))
            if hits != ids:
                yield f"search of {address} finds {len(hits & ids)} of {len(ids)} mails"

    def words(self) -> Iterator[str]:
        """A search for the unique word of a mail finds the message of this owner, or nothing."""
        for address, owner in self.owners.items():
            for attempt in self.load.attempts:
                token = attempt.mail.token
                ids = {row["id"] for row in self.rows[address].get(token, [])}
                hits = list(search_all(owner, token))
                if sorted(hits) != sorted(ids):
                    yield f"search of {address} for {token} finds {hits}, not {ids}"

    def dead_letters(self) -> Iterator[str]:
        for row in self._cli("dead-letters", "list", "--json"):
            yield f"dead letter {row['id']}: {row.get('stage')}: {row.get('cause')}"

    def audit(self) -> Iterator[str]:
        """The audit of the product finds no missing mail; it shares no code with these checks."""
        done = self.world.cli("audit", "--json", check=False)
        if done.returncode != 0:
            yield f"audit: {done.stdout[-500:]}{done.stderr[-500:]}"

    def verify(self) -> Iterator[str]:
        """Views, contents, holders and index agree with the journals, to the byte."""
        done = self.world.cli("verify", "--content", check=False)
        if done.returncode != 0:
            yield f"verify: {done.stdout[-1000:]}{done.stderr[-500:]}"

    def _cli(self, *args: str) -> Any:
        return json.loads(self.world.cli(*args).stdout)

    def _feeds(self) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "tests.chaos.feeds"],
            env=self.world.env, cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return {a: feed for a, feed in json.loads(done.stdout).items() if a in self.owners}


def search_all(owner: Client, word: str) -> Iterator[str]:
    cursor = ""
    while True:
        path = f"/v1/search?q={word}&limit=500{cursor}"
        page = eventually(partial(owner.call, "GET", path))  # 429: searches took too much time
        yield from (row["id"] for row in page["messages"])
        if page["next_cursor"] is None:
            return
        cursor = f"&cursor={page['next_cursor']}"


def wait_until_drained(world: World) -> None:
    """Wait until the stack is ready without lag and held events, in 31 consecutive observations.

    One observation is not enough, because a reported lag is a second old.
    """
    idle_count = 0

    def is_idle() -> bool:
        nonlocal idle_count
        status = world.look()
        roles = status["roles"]
        idle = status["state"] == "ready" and not any(r["lag"] or r["held"] for r in roles)
        idle_count = idle_count + 1 if idle else 0
        return idle_count > 30

    eventually(is_idle, within_s=DRAINED_WITHIN_S, what="idle")
