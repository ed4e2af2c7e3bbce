"""A sent mail's whole way on real engines: API, submission, scanners, Sent, a local mailbox."""

import time
from dataclasses import replace
from typing import Any

import pytest

from scanners.memory import EICAR
from tests.support.stack_world import Client, World
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
BOB = "bob.receives@postriver.test"


@pytest.fixture(scope="module")
def bob(running: World) -> Client:
    return running.add_user(BOB)


def send(owner: Client, **fields: Any) -> dict[str, Any]:
    body = {"to": [BOB], "text": "At four?", "undo_s": 0}
    return owner.call("POST", "/v1/messages", body | fields)


def settled(owner: Client, submission_id: str) -> dict[str, Any]:
    def final() -> dict[str, Any] | None:
        row = owner.call("GET", f"/v1/submissions/{submission_id}")
        return row if row["status"] not in {"held", "queued"} else None

    return eventually(final, what=f"submission {submission_id}")


def with_subject(owner: Client, folder: str, subject: str) -> list[dict[str, Any]]:
    return [each for each in owner.messages(folder) if each["subject"] == subject]


def test_a_mail_reaches_a_local_mailbox_and_sent_once(
    running: World, ann: Client, bob: Client
) -> None:
    sent = send(ann, subject="Tea", bcc=["ann@postriver.test"])
    row = settled(ann, sent["submission_id"])
    assert {each["status"] for each in row["recipients"]} == {"delivered"}
    (received,) = eventually(lambda: with_subject(bob, "inbox", "Tea"), what="bob's copy")
    (copy,) = eventually(lambda: with_subject(ann, "sent", "Tea"), what="the copy in Sent")
    assert copy["id"] == sent["id"]
    assert b"Bcc" not in bob.raw("GET", f"/v1/messages/{received['id']}/raw")
    assert b"Bcc: ann@" in ann.raw("GET", f"/v1/messages/{copy['id']}/raw")
    assert len(eventually(lambda: with_subject(ann, "inbox", "Tea"), what="ann's copy")) == 1
    stages = [hop["stage"] for hop in bob.call("GET", f"/v1/messages/{received['id']}")["hops"]]
    assert stages == ["submit", "submission", "validate_submitted", "scan", "route"]


def test_what_cannot_be_sent_has_its_reason_and_returns_to_drafts(
    running: World, ann: Client, bob: Client
) -> None:
    sent = send(ann, subject="Nobody", to=["nobody.here@postriver.test"])
    row = settled(ann, sent["submission_id"])
    (recipient,) = row["recipients"]
    assert (row["status"], recipient["status"], recipient["code"]) == ("failed", "failed", "5.1.1")
    (draft,) = eventually(lambda: with_subject(ann, "drafts", "Nobody"), what="the draft")
    assert "$draft" in draft["keywords"]


def test_a_virus_is_not_sent(running: World, ann: Client, bob: Client) -> None:
    sent = send(ann, subject="Virus", text=EICAR.decode())
    (recipient,) = settled(ann, sent["submission_id"])["recipients"]
    assert recipient["status"] == "failed"
    assert "Eicar" in recipient["detail"]
    assert with_subject(bob, "inbox", "Virus") == []


def test_the_demo_of_the_sending_half(running: World) -> None:
    for name in ("alice", "bob"):
        if f"{name}@postriver.test" not in running.cli("user", "list").stdout:
            running.add_user(f"{name}@postriver.test")
    without_relay = replace(running, extra=running.extra | {"POSTRIVER_RELAY": "off"})
    shown = without_relay.cli("demo", "--send").stdout
    assert "the same key, the same submission: True" in shown
    assert "status bob@postriver.test: delivered" in shown
    assert "POSTRIVER_RELAY=mx" in shown, "what to set to see a mail leave"


def test_undo_and_schedule(running: World, ann: Client, bob: Client) -> None:
    undone = send(ann, subject="Undone", undo_s=30)
    ann.call("DELETE", f"/v1/submissions/{undone['submission_id']}")
    (draft,) = eventually(lambda: with_subject(ann, "drafts", "Undone"), what="the draft")
    assert draft["id"] != undone["id"]
    at = time.time() + 3
    later = send(ann, subject="Later", send_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)))
    assert settled(ann, later["submission_id"])["status"] == "sent"
    assert time.time() >= int(at)
    assert with_subject(bob, "inbox", "Undone") == []
    assert len(eventually(lambda: with_subject(bob, "inbox", "Later"), what="bob's mail")) == 1
