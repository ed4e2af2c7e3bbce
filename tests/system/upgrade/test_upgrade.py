"""Today's Postriver on the state that an earlier one left: all is there, once, and goes on.

The state was left with mail at every place between two stages (make_fixture.py).
"""

import json
import os
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.stack_world import Client, Unwilling, World, folder_of, free_port_base, started
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
STATES = sorted(Path(__file__).parent.glob("*.tar.xz"))
ANN, BEN = "ann@postriver.test", "ben@postriver.test"


@dataclass
class Upgraded:
    """A running stack, and what its predecessor's owners saw last."""

    world: World
    told: dict[str, Any]
    ann: Client
    ben: Client

    @property
    def sent(self) -> dict[str, str]:
        return self.told["sent"]

    @property
    def waiting(self) -> dict[str, str]:
        return self.told["waiting"]


@pytest.fixture(scope="module", params=STATES, ids=lambda path: path.name)
def upgraded(request: pytest.FixtureRequest) -> Iterator[Upgraded]:
    with folder_of("upgrade") as top:
        subprocess.run(["tar", "-xJf", request.param, "-C", top], check=True)
        give_away(top / "home")
        told = json.loads((top / "told.json").read_text())
        with started(World(top / "home", free_port_base())) as running:
            yield Upgraded(running, told, running.login(ANN), running.login(BEN))


def give_away(home: Path) -> None:
    """As root the stack runs as the owner of its folder, who must not be root."""
    if os.geteuid() == 0:
        for path in (home, *home.rglob("*")):
            shutil.chown(path, "postriver", "postriver")


def arrived(owner: Client, mail_id: str) -> dict[str, Any]:
    """The one message of a mail, wherever the spam score has put it."""
    return eventually(
        lambda: owner.message_of(mail_id) or owner.message_of(mail_id, "junk"), what=mail_id
    )


def attached(owner: Client, message: dict[str, Any]) -> bytes:
    (one,) = message["attachments"]
    return owner.raw("GET", f"/v1/messages/{message['id']}/attachments/{one['n']}")


def test_what_was_stored_looks_as_it_did(upgraded: Upgraded) -> None:
    flagged_meanwhile = upgraded.sent["html"]
    for owner, before in zip((upgraded.ann, upgraded.ben), upgraded.told["seen"], strict=True):
        now = {row["id"]: row for name in ("inbox", "junk") for row in owner.messages(name)}
        assert before["messages"]
        for row in before["messages"]:
            same = {name for name in row if name != "changed_seq"}
            if row["mail_id"] == flagged_meanwhile:
                same -= {"flagged", "keywords"}
            assert {name: now[row["id"]][name] for name in same} == {n: row[n] for n in same}
            thread = owner.call("GET", f"/v1/threads/{now[row['id']]['thread_id']}")
            assert row["id"] in {one["id"] for one in thread["messages"]}
    message = arrived(upgraded.ben, upgraded.sent["attachment"])
    assert attached(upgraded.ben, message) == bytes(range(256)) * (60_000 // 256)


def test_what_was_on_its_way_arrives_once(upgraded: Upgraded) -> None:
    waiting, sent = upgraded.waiting, upgraded.sent
    for owner in (upgraded.ann, upgraded.ben):
        assert arrived(owner, waiting["commanded"])["subject"] == "Commanded, not stored yet"
    assert arrived(upgraded.ann, waiting["unscanned"])["hops"]
    big = arrived(upgraded.ben, waiting["unscanned big"])
    assert attached(upgraded.ben, big) == bytes(range(256)) * (50_000 // 256)
    eventually(lambda: arrived(upgraded.ann, sent["html"])["flagged"])
    listed = eventually(lambda: quarantined(upgraded.world, waiting["unscanned infected"]))
    assert sent["infected"] in listed
    assert upgraded.ben.message_of(waiting["unscanned infected"]) is None


def quarantined(running: World, mail_id: str) -> str:
    listed = running.cli("quarantine", "list").stdout
    return listed if mail_id in listed else ""


def test_counts_equal_a_recount(upgraded: Upgraded) -> None:
    arrived(upgraded.ann, upgraded.waiting["unscanned"])
    arrived(upgraded.ben, upgraded.waiting["unscanned big"])
    for owner in (upgraded.ann, upgraded.ben):
        for name in ("inbox", "junk"):
            folder, rows = owner.folder(name), owner.messages(name)
            assert folder["total"] == len(rows) == len({row["mail_id"] for row in rows})
            assert folder["unread"] == sum(row["unread"] for row in rows)


def test_old_and_late_mail_is_found(upgraded: Upgraded) -> None:
    for query, name in (("회의", "korean"), ("indexed", "unindexed"), ("scanned", "unscanned")):
        mail_id = upgraded.sent.get(name) or upgraded.waiting[name]
        path = f"/v1/search?q={urllib.parse.quote(query)}"
        eventually(
            lambda path=path, mail_id=mail_id: (
                mail_id in {row["mail_id"] for row in upgraded.ann.call("GET", path)["messages"]}
            )
        )


def test_every_view_agrees_with_the_journals(upgraded: Upgraded) -> None:
    arrived(upgraded.ann, upgraded.waiting["unscanned"])
    upgraded.world.cli("rebuild", "outlines")  # the state is older than outlines
    told = eventually(lambda: agreed(upgraded.world), within_s=120)
    assert "differences" in told


def agreed(running: World) -> str:
    told = running.cli("verify", "--content", check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


def test_people_and_dead_letters_are_there(upgraded: Upgraded) -> None:
    for address in ("alice@postriver.test", "bob@postriver.test"):
        owner = upgraded.world.login(address)
        assert owner.message_of(upgraded.sent["five"])
    with pytest.raises(Unwilling) as disabled:
        upgraded.world.login("cleo@postriver.test")
    assert disabled.value.code == 401
    (letter,) = json.loads(upgraded.world.cli("dead-letters", "list", "--json").stdout)
    assert letter["topic"] == "mailbox.commands"
