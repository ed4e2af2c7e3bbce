"""What stands while an engine is away, and what a group that was forgotten reads again.

Kills, freezes and cuts under load are in tests/chaos.
"""

import json
import os
import signal
import subprocess
import time
from contextlib import suppress

import pytest

from stack.engines.kafka import client_path
from stack.state_folder import StateFolder
from tests.support import ROOT, mails
from tests.support.stack_world import Client, World, world
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
ANN = "ann@postriver.test"
ROLES = ("intake", "scan", "mailbox", "index")


@pytest.fixture(scope="module")
def breakable():
    with world() as mine:
        mine.ann = mine.add_user(ANN)
        yield mine


def settled(owner: Client, mail_ids: list[str], *, within_s: float = 120.0) -> None:
    """Every mail is in the inbox exactly once, and the counts equal a recount."""

    def look() -> bool:
        found = [one["mail_id"] for one in owner.messages("inbox")]
        assert len(found) == len(set(found)), "a mail was delivered twice"
        missing = set(mail_ids) - set(found)
        assert not missing, f"{len(missing)} of {len(mail_ids)} are missing"
        return True

    eventually(look, within_s=within_s)
    inbox, rows = owner.folder("inbox"), owner.messages("inbox")
    assert inbox["total"] == len(rows)
    assert inbox["unread"] == sum(row["unread"] for row in rows)
    seqs = sorted(row["created_seq"] for row in rows)
    assert len(set(seqs)) == len(seqs)


def held_by(breakable: World, engine: str, mail_id: str) -> str:
    trace = breakable.cli("trace", mail_id).stdout
    return trace if f"held: {engine}, since" in trace else ""


def test_clamd_away_mail_waits_then_drains(breakable: World) -> None:
    with breakable.unstartable("clamd", breakable.home / "engines" / "clamd" / "clamd.conf"):
        sent = [breakable.send(mails.plain(f"while clamd is away {n}"), ANN) for n in range(5)]
        infected = breakable.send(mails.eicar(), ANN)
        held = eventually(
            lambda: [
                h for r in breakable.status()["roles"] if r["name"] == "scan" for h in r["held"]
            ]
        )
        assert held[0]["engine"] == "clamd"
        time.sleep(3)
        assert not any(breakable.ann.message_of(one) for one in sent)
        trace = eventually(lambda: held_by(breakable, "clamd", sent[0]))
        assert "waiting for scan" in trace
        account = json.loads(breakable.cli("audit", "--since", "5m", "--json").stdout)
        assert account["counts"]["in_flight"] == 6
    settled(breakable.ann, sent)
    eventually(lambda: infected in breakable.cli("quarantine", "list").stdout)
    assert breakable.ann.message_of(infected) is None


def test_kafka_away_nothing_is_promised(breakable: World) -> None:
    before = breakable.send(mails.plain("before kafka goes"), ANN)
    with breakable.unstartable("kafka", breakable.home / "engines" / "kafka" / "server.properties"):
        with breakable.smtp() as client:
            client.ehlo()
            client.mail("sender@sender.example")
            client.rcpt(ANN)
            code, text = client.data(mails.plain("while kafka is away"))
        assert code in {451, 452}, (code, text)
    after = eventually(
        lambda: breakable.send(mails.plain("after kafka came back"), ANN), within_s=120
    )
    settled(breakable.ann, [before, after])


def test_seven_days_of_idle_forget_the_groups(breakable: World) -> None:
    """The broker forgets an idle group's offsets: all that stands is read again."""
    sent = [breakable.send(mails.plain(f"last week {n}"), ANN) for n in range(5)]
    settled(breakable.ann, sent)
    rows = {row["id"]: row["changed_seq"] for row in breakable.ann.messages("inbox")}
    frozen = [breakable.kill(role, signal.SIGSTOP) for role in ROLES]
    forgotten = eventually(lambda: forget_groups(breakable), within_s=60)
    assert all(name in forgotten for name in ROLES), forgotten
    for pid in frozen:
        with suppress(ProcessLookupError):  # its supervisor may have ended it already
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: breakable.status()["state"] == "ready", within_s=120)
    fresh = breakable.send(mails.plain("this week"), ANN)
    settled(breakable.ann, [*sent, fresh], within_s=180)
    eventually(lambda: all(r["lag"] == 0 for r in breakable.status()["roles"]), within_s=180)
    again = {row["id"]: row["changed_seq"] for row in breakable.ann.messages("inbox")}
    assert {id_: again.get(id_) for id_ in rows} == rows


def forget_groups(running: World) -> str:
    """Delete every group with Kafka's own tool; its words once all are gone, else nothing."""
    tool = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
    done = subprocess.run(
        ["java", "-cp", f"{ROOT / '.tools' / 'kafka' / 'lib'}/*", tool, "--bootstrap-server",
         str(running.bootstrap), "--command-config", str(client_path(StateFolder(running.home))),
         "--delete", "--all-groups"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout if "successful" in done.stdout else ""
