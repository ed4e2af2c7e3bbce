"""What must hold at the end of any run, whatever was done to the stack meanwhile.

Every check gives sentences; no sentence means that it holds.
"""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support import ROOT
from tests.support.stack_world import Client, World, eventually

from .load import Answer, Load
from .mails import WORD
from .owning import GONE

DRAINED_WITHIN_S = 300.0
Row = dict[str, Any]


@dataclass(slots=True)
class Findings:
    """All mailboxes as their owners see them, by the token of each mail."""

    load: Load
    world: World
    owners: dict[str, Client]
    rows: dict[str, dict[str, list[Row]]] = field(default_factory=dict)  # owner, token
    folders: dict[str, list[tuple[str, Row]]] = field(default_factory=dict)

    def all(self) -> list[str]:
        """Waits until the stack is at rest, then looks at everything."""
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
            here = [(folder, row) for folder in ids for row in owner.messages(folder)]
            self.folders[address] = here
            self.rows[address] = defaultdict(list)
            for folder, row in here:
                token = row["subject"].rpartition(" ")[2]
                self.rows[address][token].append({**row, "folder": folder})

    def mails(self) -> Iterator[str]:
        """Each mail exactly where it should be: there if it got 250, nowhere twice."""
        for answer in self.load.answers:
            for address in self.owners:
                yield from self._one(answer, address, self.rows[address].get(answer.mail.token, []))
        known = {answer.mail.token for answer in self.load.answers}
        for address, found in self.rows.items():
            yield from (f"{address} has {token}, sent by nobody" for token in found.keys() - known)

    def _one(self, answer: Answer, address: str, found: list[Row]) -> Iterator[str]:
        mail, name = answer.mail, f"{answer.mail.kind} mail {answer.mail.token} {answer.mail_id}"
        if address not in mail.owners:
            yield from (f"{name} is {address}'s, who is no recipient" for _ in found)
        elif mail.folder is None:
            yield from (f"{name} was delivered to {address}" for _ in found)
        elif len(found) > 1:
            yield f"{name} is {len(found)} times in the mailbox of {address}"
        else:
            places = self.load.owners[address].places.get(mail.token, {mail.folder})
            place = found[0]["folder"] if found else GONE
            if place not in places and (found or answer.outcome == "accepted"):
                yield f"{name} got {answer.reply}; {address} has it in {place}, not in {places}"

    def quarantine(self) -> Iterator[str]:
        rows = self._cli("quarantine", "list", "--json", "--limit", "500")
        there = {row["mail_id"] for row in rows}
        for answer in self.load.answers:
            if answer.outcome != "accepted":
                continue
            if answer.mail.folder is None and answer.mail_id not in there:
                yield f"{answer.mail.kind} mail {answer.mail_id} is not in quarantine"
            if answer.mail.folder is not None and answer.mail_id in there:
                yield f"{answer.mail.kind} mail {answer.mail_id} is in quarantine"

    def bytes_and_scans(self) -> Iterator[str]:
        """What was sent is what is read, and a scanner has seen it."""
        sent = {answer.mail.token: answer.mail.data for answer in self.load.answers}
        for address, found in self.rows.items():
            owner = self.owners[address]
            for token, rows in found.items():
                path = f"/v1/messages/{rows[0]['id']}"
                if not owner.raw("GET", f"{path}/raw").endswith(sent[token]):
                    yield f"{token} of {address} has other bytes than were sent"
                hops = owner.call("GET", path)["hops"]
                if not any(hop["stage"] == "scan" and hop["verdict"] for hop in hops):
                    yield f"{token} was delivered to {address} unscanned"

    def keywords(self) -> Iterator[str]:
        for address, owner in self.load.owners.items():
            yield from (f"{address}: {what}" for what in owner.strange)
            for token, wanted in owner.keywords.items():
                for row in self.rows[address].get(token, []):
                    for name, possible in wanted.items():
                        if row[name] not in possible:
                            yield f"{token} of {address}: {name} is {row[name]}"

    def own_folders(self) -> Iterator[str]:
        """Those that were made and not deleted, under the name that was given last."""
        for address, owner in self.load.owners.items():
            rows = self.owners[address].call("GET", "/v1/folders")["folders"]
            names = {row["id"]: row["name"] for row in rows if not row.get("role")}
            for id_, it in owner.folders.items():
                if (id_ in names) not in it.there:
                    yield f"the folder {it.names} of {address}: there is {names}"
                if id_ in names and names[id_] not in it.names:
                    yield f"a folder of {address} is {names[id_]}, not {it.names}"
            unknown = {name for id_, name in names.items() if id_ not in owner.folders}
            yield from (f"{address} has {each}" for each in unknown - owner.names_in_doubt)

    def counts(self) -> Iterator[str]:
        for address, owner in self.owners.items():
            for folder in owner.call("GET", "/v1/folders")["folders"]:
                rows = [row for place, row in self.folders[address] if place == folder["id"]]
                recount = len(rows), sum(row["unread"] for row in rows)
                if recount != (folder["total"], folder["unread"]):
                    told = folder["total"], folder["unread"]
                    yield f"{folder['id']} of {address} counts {told}, a recount {recount}"

    def feeds(self) -> Iterator[str]:
        """Every number from 1 on, and the state at the last."""
        for address, feed in self._feeds().items():
            seqs = feed["seqs"]
            if seqs != list(range(1, len(seqs) + 1)):
                yield f"the feed of {address} has gaps"
            if feed["state"] != len(seqs):
                yield f"the state of {address} is at {feed['state']}, its feed at {len(seqs)}"

    def search(self) -> Iterator[str]:
        """The index has every delivered mail, and has caught up with the rest."""
        for address, owner in self.owners.items():
            there = {row["id"] for _, row in self.folders[address]}
            found = set(search_all(owner, WORD))
            if found != there:
                yield f"search of {address} finds {len(found & there)} of {len(there)} mails"

    def words(self) -> Iterator[str]:
        """Each mail is found by the word that only it has; no destroyed one, and nobody else's."""
        for address, owner in self.owners.items():
            for answer in self.load.answers:
                token = answer.mail.token
                there = {row["id"] for row in self.rows[address].get(token, [])}
                found = list(search_all(owner, token))
                if sorted(found) != sorted(there):
                    yield f"search of {address} for {token} finds {found}, not {there}"

    def dead_letters(self) -> Iterator[str]:
        for row in self._cli("dead-letters", "list", "--json"):
            yield f"dead letter {row['id']}: {row.get('stage')}: {row.get('cause')}"

    def audit(self) -> Iterator[str]:
        """The product's own proof agrees, knowing nothing of ours."""
        done = self.world.cli("audit", "--json", check=False)
        if done.returncode != 0:
            yield f"audit: {done.stdout[-500:]}{done.stderr[-500:]}"

    def verify(self) -> Iterator[str]:
        """Views, contents, holders and index are what the journals say, to the byte."""
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
        page = owner.call("GET", f"/v1/search?q={word}&limit=500{cursor}")
        yield from (row["id"] for row in page["messages"])
        if page["next_cursor"] is None:
            return
        cursor = f"&cursor={page['next_cursor']}"


def wait_until_drained(world: World) -> None:
    """Ready, nothing held, nothing behind: seen twice, as a lag is a second old."""
    seen = 0

    def at_rest() -> bool:
        nonlocal seen
        found = world.look()
        roles = found["roles"]
        rest = found["state"] == "ready" and not any(r["lag"] or r["held"] for r in roles)
        seen = seen + 1 if rest else 0
        return seen > 30

    eventually(at_rest, within_s=DRAINED_WITHIN_S, what="at rest")
