"""Mail that leaves the stack: to a scripted mail host on 127.0.0.1 that the test's DNS names."""

import json
from collections.abc import Callable
from typing import Any

import dkim
import pytest

from mail.sending.delivery_status import ReportedRecipient, StatusReport, notification
from tests.support.far_domain import FarDomain
from tests.support.smtp_peer import HANG, SmtpPeer
from tests.support.stack_world import Client, World
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def rae(running: World) -> Client:
    return running.add_user("rae@postriver.test")


@pytest.fixture
def peer(far: FarDomain) -> SmtpPeer:
    return far.peer


def test_a_mail_leaves_and_its_bounce_comes_back(
    running: World, rae: Client, peer: SmtpPeer
) -> None:
    """A report of the other server changes the state of the recipient."""
    before = len(peer.received)
    row = sent(rae, "bob@far.example")
    submission_id = row["id"]
    assert row["status"] == "sent"
    assert row["recipients"][0]["server"] == "mx.far.example [127.0.0.1]"
    (received,) = peer.received[before:]
    assert received.recipients == ("bob@far.example",)
    assert received.reverse_path.startswith("bounce+")
    assert b"At four?" in received.content
    mail_id = running.send(report_of(submission_id), received.reverse_path, sender="")
    eventually(lambda: rae.message_of(mail_id), what="the bounce in the sender's inbox")

    def failed() -> dict[str, Any] | None:
        row = rae.call("GET", f"/v1/submissions/{submission_id}")
        return row if row["status"] == "failed" else None

    (recipient,) = eventually(failed, what="the recipient's state")["recipients"]
    assert (recipient["code"], recipient["server"]) == ("5.2.2", "mx.far.example")
    with running.smtp() as client:
        client.ehlo()
        client.mail("")
        assert client.rcpt(received.reverse_path.replace("+", "+a", 1))[0] == 550


def report_of(submission_id: str) -> bytes:
    full = ReportedRecipient(address="bob@far.example", status="5.2.2", text="mailbox full")
    report = StatusReport(
        report_id="r1", mail_id=submission_id, action="failed", reverse_path="x@postriver.test",
        hostname="mx.far.example", recipients=(full,), reported_ms=0, arrived_ms=0,
    )  # fmt: skip
    content = notification(report)
    assert content is not None
    return content


def test_an_unknown_recipient_is_reported_to_the_sender(rae: Client, peer: SmtpPeer) -> None:
    peer.refused["nobody@far.example"] = "550 5.1.1 no such user"
    row = sent(rae, "nobody@far.example")
    assert (row["status"], row["recipients"][0]["code"]) == ("failed", "5.1.1")
    notice = eventually(notice_in(rae, b"nobody@far.example"), what="the notice")
    assert b"Action: failed" in notice


def test_an_operator_retries(running: World, rae: Client, peer: SmtpPeer) -> None:
    peer.refused["later@far.example"] = "451 4.3.0 busy"
    submission_id = send(rae, "later@far.example")

    def queued() -> list[dict[str, Any]]:
        listed = running.cli("queue", "list", "--domain", "far.example", "--json").stdout
        return [each for each in json.loads(listed) if each["detail"]]

    (row,) = eventually(queued, what="the first attempt")
    assert (row["mail_id"], row["state"], row["code"]) == (submission_id, "waiting", "4.3.0")
    del peer.refused["later@far.example"]
    assert "1 recipients" in running.cli("queue", "retry", submission_id).stdout
    assert settled(rae, submission_id)["status"] == "sent"


def test_a_killed_process_sends_on(running: World, rae: Client, peer: SmtpPeer) -> None:
    """The next process takes over what the killed one had claimed, at once."""
    before = len(peer.received)
    peer.actions["RCPT"] = HANG
    submission_id = send(rae, "eve@far.example")
    eventually(lambda: "eve@" in str(peer.lines[-2:]), what="the recipient's command")
    running.kill("relay")
    del peer.actions["RCPT"]
    assert settled(rae, submission_id)["status"] == "sent"
    assert [each.recipients for each in peer.received[before:]] == [("eve@far.example",)]


def test_the_records_of_a_domain_verify_its_signatures(running: World, far: FarDomain) -> None:
    running.cli("domain", "add", "signed.example")
    missing = running.cli("domain", "dns", "signed.example", "--check", check=False)
    assert (missing.returncode, missing.stdout.count("WRONG")) == (1, 5)
    for line in missing.stdout.splitlines():
        if not line.startswith(";"):
            name, _, kind, value = line.split(" ", 3)
            far.names.zone[name.rstrip("."), kind] = [value]
    found = running.cli("domain", "dns", "signed.example", "--check")
    assert found.stdout.count("; found") == 5
    sent(running.add_user("sam@signed.example"), "bob@far.example")
    signed = far.received[-1].content

    def record(name: bytes, **_: object) -> bytes:
        (value,) = far.names.zone[name.decode().rstrip("."), "TXT"]
        return value.replace('" "', "").strip('"').encode()

    assert signed.count(b"DKIM-Signature:") == 2
    assert all(dkim.DKIM(signed).verify(idx=number, dnsfunc=record) for number in (0, 1))


def send(owner: Client, to: str) -> str:
    """Send a mail; return the id of the submission."""
    body = {"to": [to], "subject": "Tea", "text": "At four?", "undo_s": 0}
    return owner.call("POST", "/v1/messages", body)["submission_id"]


def sent(owner: Client, to: str) -> dict[str, Any]:
    """The submission of a mail to `to` once nothing of it is on its way."""
    return settled(owner, send(owner, to))


def settled(owner: Client, submission_id: str) -> dict[str, Any]:
    def final() -> dict[str, Any] | None:
        row = owner.call("GET", f"/v1/submissions/{submission_id}")
        return row if row["status"] not in {"held", "queued"} else None

    return eventually(final, what=f"submission {submission_id}")


def notice_in(owner: Client, address: bytes) -> Callable[[], bytes | None]:
    def notice() -> bytes | None:
        raw = (owner.raw("GET", f"/v1/messages/{one['id']}/raw") for one in owner.messages("inbox"))
        return next((octets for octets in raw if address in octets), None)

    return notice
