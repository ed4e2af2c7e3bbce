"""A backup under load, and a restore into a fresh folder on other ports, to the byte."""

import asyncio
import contextlib
import json
import shutil
import sqlite3
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from cli.config.config import load
from mail.pagination import all_rows
from schemas.events.mailbox_events import MailboxChanged
from stores.sqlite.directory.store import SqliteDirectory
from stores.sqlite.mail_store.store import SqliteMailStore
from tests.support import mails
from tests.support.stack_world import (
    PROFILE,
    Client,
    Unwilling,
    World,
    folder_of,
    free_port_base,
    started,
    world,
)
from tests.support.waiting import eventually
from tests.system.test_deposits import upload

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
embedded = pytest.mark.skipif(PROFILE == "distributed", reason="looks into files of stores")
PACE_S = 0.6 if PROFILE == "distributed" else 0.15
LATER = {"to": ["far@elsewhere.example"], "subject": "Later", "text": "In two days"}
ANN, BEN, CAI, DAN = (f"{name}@postriver.test" for name in ("ann", "ben", "cai", "dan"))


@dataclass
class Load:
    """Mail to ann, one each PACE_S, every tenth infected; what got its 250.

    Ann flags a message at each mail, so that her mailbox changes while it is copied.
    """

    running: World
    ann: Client
    clean: dict[str, bytes] = field(default_factory=dict)
    infected: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        number = 0
        while not self.stop.wait(PACE_S):
            number += 1
            for row in self.ann.call("GET", "/v1/folders/inbox/messages?limit=1")["messages"]:
                self.ann.call("PATCH", f"/v1/messages/{row['id']}", {"flagged": not row["flagged"]})
            if number % 10 == 0:
                self.infected.append(self.running.send(mails.eicar(), ANN))
                continue
            big = b"x" * 150_000 if number % 4 == 0 else b""
            mail = mails.compose(f"Under load {number}", f"Word{number}\n", attach=big)
            self.clean[self.running.send(mail, ANN)] = mail


@dataclass
class Restored:
    world: World
    before: dict[str, object]  # what ben saw when the backup was made
    letters: list[dict[str, object]]
    clean: dict[str, bytes]  # accepted before the backup began
    infected: list[str]
    upload_id: str  # of dan's upload
    secrets: dict[str, bytes]  # of the first stack, by the name of their file
    late: str  # what cai's client had seen through when the old state folder was lost
    folder: Path


@pytest.fixture(scope="module")
def restored() -> Iterator[Restored]:
    with folder_of("care") as top:
        with world() as first:
            made = backed_up(first, top / "backup")
            secrets = {
                path.name: path.read_bytes().strip() for path in (first.home / "secrets").iterdir()
            }
            late = went_on(first)
        again = World(top / "home", free_port_base())
        again.cli("restore", str(top / "backup"))
        with started(again):
            yield Restored(again, *made, secrets, late, top / "backup")


def backed_up(running: World, folder: Path) -> tuple[dict, list, dict, list, str]:
    """A backup while mail comes in, waits for its scanner and is marked as read."""
    ben, upload_id = prepared(running)
    load = Load(running, running.login(ANN))
    sender = threading.Thread(target=load)
    sender.start()
    try:
        eventually(lambda: len(load.clean) > 8)
        with running.unstartable("clamd", running.home / "engines" / "clamd" / "clamd.conf"):
            eventually(lambda: len(load.clean) > 20)
            before, clean, infected = seen(ben), dict(load.clean), list(load.infected)
            said = running.cli("backup", str(folder)).stdout
    finally:
        load.stop.set()
        sender.join()
    assert "2 dead letters" in said
    assert int(said.split(" events in the log")[0].split()[-1]) > 5, said
    assert infected
    return before, letters(running), clean, infected, upload_id


def prepared(running: World) -> tuple[Client, str]:
    """Ben's mailbox, at rest; and cai's, a dead letter, and an upload and a draft of dan."""
    dan = running.add_user(DAN)
    upload_id = upload(dan, b"kept in the backup", "kept.txt")["id"]
    dan.call("POST", "/v1/drafts", {"subject": "Kept"})
    running.add_user(ANN)
    cai = running.add_user(CAI)
    early = running.send(mails.plain("Before the backup"), CAI)
    eventually(lambda: cai.message_of(early))
    ben = running.add_user(BEN)
    sent = [running.send(mail, BEN) for mail in (mails.korean(), mails.attachment(150_000))]
    found = [eventually(lambda one=one: ben.message_of(one)) for one in sent]
    ben.call("PATCH", f"/v1/messages/{found[0]['id']}", {"unread": False, "flagged": True})
    asyncio.run(write_garbage(running))
    (parked,) = eventually(lambda: letters(running))
    running.cli("dead-letters", "redrive", str(parked["id"]))  # and parked again
    eventually(lambda: len(letters(running)) == 2)
    ben.call("POST", "/v1/folders", {"name": "Kept"})
    ben.call("POST", "/v1/messages", LATER | {"send_at": in_two_days()})
    eventually(lambda: seen(ben)["found"])
    if PROFILE == "distributed":
        asyncio.run(pack(running))
    return ben, upload_id


def in_two_days() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2 * 86_400))


async def pack(running: World) -> None:
    """Move the small contents so far into a segment."""
    from cli.wiring.cassandra_stores import CassandraStores, cluster_config
    from cli.wiring.external_engines import objects_config
    from stores.cassandra.content_store import CassandraContentStore
    from stores.cassandra.segments.packer import PackerConfig
    from stores.s3.objects import S3Objects, spread_key

    config = load(running.env)
    async with AsyncExitStack() as stack:
        stores = CassandraStores(cluster_config(config, config.user), stack)
        session = await stores.session_for(CassandraContentStore)
        objects = S3Objects.open(objects_config(config))
        contents = CassandraContentStore(session, objects, spread_key)
        upkeep = contents.upkeep(packing=PackerConfig(age_min_ms=0, age_max_ms=0))
        await upkeep.turn()
        assert upkeep.counts().contents > 1


async def write_garbage(running: World) -> None:
    async with AIOKafkaProducer(**running.bootstrap.options) as producer:
        await producer.send_and_wait("mailbox.commands", b"no event of ours", key=b"nobody")


def went_on(running: World) -> str:
    """The state of cai's mailbox, further on than in the backup."""
    cai = running.login(CAI)
    lost = running.send(mails.plain("After the backup"), CAI)
    eventually(lambda: cai.message_of(lost), within_s=300)
    return cai.call("GET", "/v1/changes?since=0")["state"]


def letters(running: World) -> list[dict[str, object]]:
    return json.loads(running.cli("dead-letters", "list", "--json").stdout)


def seen(owner: Client) -> dict[str, object]:
    """All that a user can see, raw mails and hits included."""
    rows = owner.messages("inbox")
    return {
        "folders": owner.call("GET", "/v1/folders"),
        "rows": rows,
        "later": owner.call("GET", "/v1/submissions"),
        "raw": [owner.raw("GET", f"/v1/messages/{row['id']}/raw") for row in rows],
        "found": search(owner, "회의"),
    }


def search(owner: Client, query: str) -> list[str]:
    path = f"/v1/search?limit=500&q={urllib.parse.quote(query)}"
    return [row["mail_id"] for row in owner.call("GET", path)["messages"]]


def test_a_mailbox_at_rest_is_the_same_to_the_byte(restored: Restored) -> None:
    """The index of the distributed profile is filled after the restore."""
    ben = restored.world.login(BEN)
    if PROFILE == "distributed":
        eventually(lambda: seen(ben)["found"] == restored.before["found"], within_s=120)
    assert seen(ben) == restored.before


def test_a_client_that_was_ahead_is_told_though_the_mailbox_grows_past_it(
    restored: Restored,
) -> None:
    cai = restored.world.login(CAI)
    epoch, _, seq = restored.late.partition("-")
    now = cai.call("GET", "/v1/changes?since=0")
    assert (epoch, now["seq"]) == ("1", int(seq) - 1)
    for unread in (True, False, True, False):
        for state in (restored.late, seq):
            with pytest.raises(Unwilling) as gone:
                cai.call("GET", f"/v1/changes?since={state}")
            assert gone.value.code == 410
        cai.call("PATCH", f"/v1/messages/{cai.messages('inbox')[0]['id']}", {"unread": unread})
    latest = cai.call("GET", f"/v1/changes?since={now['state']}")
    assert latest["seq"] > int(seq)
    assert cai.call("GET", "/v1/folders/inbox/uids")["uidvalidity"] == int(
        latest["state"].partition("-")[0]
    )


def test_drafts_and_uploads_are_kept(restored: Restored) -> None:
    """The upload has the content of the backup, and can be attached."""
    dan = restored.world.login(DAN)
    (draft,) = dan.messages("drafts")
    assert draft["subject"] == "Kept"
    upload_id = restored.upload_id
    saved = dan.call(
        "POST", "/v1/drafts", {"subject": "Again", "attachments": [{"upload_id": upload_id}]}
    )
    message = dan.call("GET", f"/v1/messages/{saved['message_id']}")
    n = message["attachments"][0]["n"]
    path = f"/v1/messages/{saved['message_id']}/attachments/{n}"
    assert dan.raw("GET", path) == b"kept in the backup"
    dan.call("DELETE", f"/v1/drafts/{saved['id']}")


def test_dead_letters_keep_their_ids_and_marks(restored: Restored) -> None:
    assert letters(restored.world) == restored.letters
    assert len([one for one in restored.letters if one["redriven_at"]]) == 1


def test_every_mail_accepted_before_is_there_once(restored: Restored) -> None:
    ann = restored.world.login(ANN)

    def missing() -> set[str]:
        found = [row["mail_id"] for row in ann.messages("inbox")]
        assert len(found) == len(set(found))
        return restored.clean.keys() - set(found)

    eventually(lambda: not missing(), within_s=120)
    rows: list[dict[str, Any]] = []

    def counted() -> bool:
        """Whether list and counts agree; mails in transit are still arriving."""
        rows[:] = ann.messages("inbox")
        folder = ann.folder("inbox")
        return (folder["total"], folder["unread"]) == (len(rows), len(rows))

    eventually(counted, within_s=120)
    for row in rows:
        if row["mail_id"] in restored.clean:
            raw = ann.raw("GET", f"/v1/messages/{row['id']}/raw")
            assert raw.endswith(restored.clean[row["mail_id"]])
    listed = restored.world.cli("quarantine", "list").stdout
    assert all(mail_id in listed for mail_id in restored.infected)


def test_every_mail_is_accounted_for(restored: Restored) -> None:
    audited = eventually(lambda: done(restored.world.cli("audit", check=False)), within_s=120)
    assert "missing" in audited or "accepted" in audited


def done(audit: subprocess.CompletedProcess[str]) -> str:
    assert audit.returncode == 0, audit.stdout + audit.stderr
    return audit.stdout


def test_nothing_differs(restored: Restored) -> None:
    assert " 0 differences" in eventually(lambda: verified(restored.world), within_s=120)


@embedded
def test_what_is_spoilt_is_named_and_rebuilt_while_live(restored: Restored) -> None:
    running = restored.world
    eventually(lambda: verified(running), within_s=120)
    spoil(running, "UPDATE mailbox SET state = x'c1' WHERE user_id = ?")
    spoil(running, "DELETE FROM uid WHERE mailbox_key = (SELECT mailbox_key FROM mailbox"
          " WHERE user_id = ?)")  # fmt: skip
    told = running.cli("verify", "--user", BEN, check=False)
    assert told.returncode == 1
    assert f"{BEN}  counts: the state cannot be read" in told.stdout
    assert f"{BEN}  lists: folder inbox: uid 1" in told.stdout
    forget_outlines(running)
    assert "outlines: message" in running.cli("verify", "--content", check=False).stdout
    for part in ("counts", "lists", "index", "outlines"):
        running.cli("rebuild", part, "--user", BEN)
    assert "outlines were missing" in running.cli("rebuild", "outlines").stdout  # of the others
    assert verified(running)
    assert seen(running.login(BEN)) == restored.before


def verified(running: World) -> str:
    told = running.cli("verify", "--content", check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


def forget_outlines(running: World) -> None:
    path = running.home / "data" / "outlines.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute("DELETE FROM outline").rowcount > 0


def spoil(running: World, statement: str) -> None:
    """Write to ben's mailbox by hand, while all processes run."""
    data = running.home / "data"
    with contextlib.closing(sqlite3.connect(data / "directory.sqlite")) as connection:
        query = "SELECT user_id FROM user WHERE address = ?"
        user = connection.execute(query, (BEN,)).fetchone()
    with contextlib.closing(sqlite3.connect(data / "mail.sqlite")) as connection, connection:
        assert connection.execute(statement, user).rowcount > 0


def test_everything_is_found_and_new_mail_comes_in(restored: Restored) -> None:
    ann = restored.world.login(ANN)
    fresh = restored.world.send(mails.plain("After the restore"), ANN)
    eventually(lambda: ann.message_of(fresh), within_s=120)
    eventually(lambda: fresh in search(ann, "restore"))
    wanted = set(restored.clean)
    eventually(lambda: wanted <= set(search(ann, "load")))
    assert not list(restored.world.home.glob("put-back*"))


def test_no_secret_is_in_the_backup(restored: Restored) -> None:
    """No file has a secret of the first stack in it."""
    assert len(restored.secrets) > 5
    for path in (path for path in restored.folder.rglob("*") if path.is_file()):
        octets = path.read_bytes()
        assert [name for name, secret in restored.secrets.items() if secret in octets] == []


@embedded
def test_the_feed_goes_on_where_it_was(restored: Restored, tmp_path: Path) -> None:
    second = restored.folder.with_name("second")
    restored.world.cli("backup", str(second))
    before = asyncio.run(feeds(restored.folder, tmp_path / "before"))
    now = asyncio.run(feeds(second, tmp_path / "now"))
    assert before.keys() == now.keys() >= {ANN, BEN}
    assert now[BEN] == before[BEN] != []
    for address, entries in now.items():
        assert entries[: len(before[address])] == before[address]
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))


async def feeds(backup: Path, copy: Path) -> dict[str, list[MailboxChanged]]:
    """Every user's whole journal; read from a copy, since to open a file may change it."""
    shutil.copytree(backup / "home" / "data", copy)
    directory = await SqliteDirectory.open(copy / "directory.sqlite")
    store = await SqliteMailStore.open(copy / "mail.sqlite")
    try:
        return {
            user.address: await store.journal(user.user_id, since_seq=0, limit=10_000)
            async for user in all_rows(directory.list_users)
        }
    finally:
        await store.close()
        await directory.close()
