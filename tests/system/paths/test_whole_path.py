"""A mail's whole way on real engines: SMTP, Kafka, clamd, spamd, stores, index, edge."""

import json
import os
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support import mails
from tests.support.stack_world import POSTRIVER, PROFILE, Client, Unwilling, World
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
ANN = "ann@postriver.test"


def arrive(running: World, owner: Client, mail: bytes, **how: Any) -> Any:
    """Send `mail` to ann and give the message once it is there; odd mail may be junk."""
    mail_id = running.send(mail, ANN, **how)
    return eventually(
        lambda: owner.message_of(mail_id) or owner.message_of(mail_id, "junk"), what=mail_id
    )


def raw_ends_with(owner: Client, message: dict[str, Any], mail: bytes) -> bool:
    raw = owner.raw("GET", f"/v1/messages/{message['id']}/raw")
    assert raw.startswith(b"Return-Path: <sender@sender.example>\r\nReceived: from ")
    return raw.endswith(mail)


def test_a_plain_mail(running: World, ann: Client) -> None:
    mail = mails.plain()
    message = arrive(running, ann, mail)
    assert message["subject"] == "Plain words"
    assert message["from"] == {"name": "Ann Sender", "address": "ann@sender.example"}
    assert message["text"].strip() == "Good morning. The river runs to the sea."
    assert message["unread"] is True
    assert [hop["stage"] for hop in message["hops"]] == ["ingress", "validate", "scan", "route"]
    assert raw_ends_with(ann, message, mail)


def test_markup_is_made_harmless(running: World, ann: Client) -> None:
    message = arrive(running, ann, mails.html())
    assert "<b>world</b>" in message["html"]
    assert "script" not in message["html"]
    assert "onerror" not in message["html"]
    assert "tracker.example" not in message["html"].replace("data-", "")


def test_an_attachment(running: World, ann: Client) -> None:
    message = arrive(running, ann, mails.attachment())
    assert message["has_attachments"] is True
    (attached,) = message["attachments"]
    assert attached["filename"] == "report.bin"
    data = ann.raw("GET", f"/v1/messages/{message['id']}/attachments/{attached['n']}")
    assert data == bytes(range(256)) * 78


def test_twenty_megabytes(running: World, ann: Client) -> None:
    mail = mails.big()
    message = arrive(running, ann, mail, options=(f"SIZE={len(mail)}",))
    assert raw_ends_with(ann, message, mail)


def test_korean(running: World, ann: Client) -> None:
    message = arrive(running, ann, mails.korean())
    assert message["subject"] == "안녕하세요 반갑습니다"
    assert "세 시에 시작합니다" in message["text"]
    for query in ("회의", "subject:안녕", '"시에 시작"'):
        assert message["id"] in found(ann, query)


def found(owner: Client, query: str) -> list[str]:
    """Return the ids that one search finds; it must have looked at everything."""
    page = owner.call("GET", f"/v1/search?limit=500&q={urllib.parse.quote(query)}")
    assert page["is_complete"]
    return [message["id"] for message in page["messages"]]


def test_a_search_finds_what_was_just_stored_while_the_index_stands_still(
    running: World, ann: Client
) -> None:
    queries = ("otterwort", "contains:tterwor", "header:message-id:sender.example otterwort",
               "is:unread with:sender otterwort", "sent_after:2026-11-24 otterwort")  # fmt: skip
    made = [mails.compose(f"Otter {n}", f"An otterwort{n} otterwort.\n") for n in range(3)]
    index = running.kill("index", signal.SIGSTOP)
    try:
        sent = [running.send(mail, ANN) for mail in made]
        rows = [eventually(lambda id_=id_: ann.message_of(id_), what=id_) for id_ in sent]
        stored = [row["id"] for row in rows]
        for query in queries:
            assert sorted(found(ann, query)) == sorted(stored), query
        assert found(ann, "otterwort2") == stored[2:]
        assert Path(f"/proc/{index}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    finally:
        with suppress(ProcessLookupError):  # the supervisor ends a frozen process
            os.kill(index, signal.SIGCONT)
    for query in queries:
        assert sorted(found(ann, query)) == sorted(stored), query


def test_the_index_is_made_again_while_mail_comes_and_is_searched(
    running: World, ann: Client
) -> None:
    made_mails = [mails.compose(f"Marmot {n}", "One marmotword.\n") for n in range(8)]
    stored = {arrive(running, ann, mail)["id"] for mail in made_mails[:3]}
    sent, seen = list[str](), list[set[str]]()
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(running.cli, "rebuild", "index", timeout_s=300)
        while not made.done():
            if len(sent) < 5:
                sent.append(running.send(made_mails[3 + len(sent)], ANN))
            page = ann.call("GET", "/v1/search?limit=500&q=marmotword")
            seen.append({message["id"] for message in page["messages"]})
            time.sleep(0.5)
    assert "messages indexed" in made.result().stdout
    if PROFILE == "distributed":  # a second index is filled, and then takes the place of the first
        assert all(stored <= one for one in seen)
    stored |= {eventually(lambda id_=id_: ann.message_of(id_), what=id_)["id"] for id_ in sent}
    assert set(found(ann, "marmotword")) == stored
    assert ": 0 differences" in running.cli("verify", "--user", ANN).stdout


@pytest.mark.parametrize("make", [mails.broken_mime, mails.eight_bit, mails.long_line])
def test_what_is_broken_arrives_unchanged(running: World, ann: Client, make: Any) -> None:
    mail = make()
    message = arrive(running, ann, mail)
    assert raw_ends_with(ann, message, mail)
    assert message["subject"]
    message["subject"].encode()


def test_a_virus_is_quarantined(running: World, ann: Client) -> None:
    mail_id = running.send(mails.eicar(), ANN)
    row = eventually(lambda: quarantined(running, mail_id))
    assert row["reason"] == "infected"
    assert "eicar" in row["verdict"]["virus"].lower()
    assert [hop["stage"] for hop in row["hops"]] == ["ingress", "validate", "scan"]
    assert ann.message_of(mail_id) is None
    assert "in quarantine (infected)" in running.cli("trace", mail_id).stdout


def test_far_over_the_spam_threshold_is_quarantined(running: World, ann: Client) -> None:
    mail_id = running.send(mails.gtube(), ANN)
    row = eventually(lambda: quarantined(running, mail_id))
    assert row["reason"] == "spam"
    assert row["verdict"]["spam_score"] > 900
    assert ann.message_of(mail_id) is None
    assert ann.message_of(mail_id, "junk") is None


def quarantined(running: World, mail_id: str) -> Any:
    rows = json.loads(running.cli("quarantine", "list", "--json").stdout)
    if not any(row["mail_id"] == mail_id for row in rows):
        return None
    return json.loads(running.cli("quarantine", "show", mail_id, "--json").stdout)


def test_unknown_users_and_foreign_domains_are_refused(running: World) -> None:
    with running.smtp() as client:
        client.ehlo()
        client.mail("sender@sender.example")
        assert client.rcpt("nobody@postriver.test")[0] == 550
        assert client.rcpt("nobody@postriver.test")[1].startswith(b"5.1.1")
        assert client.rcpt("someone@elsewhere.example")[1].startswith(b"5.7.1")
        assert client.rcpt("postmaster")[0] == 250


def test_many_recipients_one_scan(running: World) -> None:
    people = [f"p{n}@postriver.test" for n in range(8)]
    owners = [running.add_user(person) for person in people[:2]]
    for person in people[2:]:
        running.cli("user", "add", person, "--password-stdin", given=f"secret of {person}\n")
    before = scans(running)
    mail_id = running.send(mails.plain("To many people"), *people)
    for owner in owners:
        eventually(lambda owner=owner: owner.message_of(mail_id))
    trace = eventually(lambda: full_trace(running, mail_id, len(people)))
    assert len({end["where"] for end in trace}) == len(people)
    assert scans(running) - before == 1


def test_a_group_an_alias_and_a_full_mailbox(running: World, ann: Client) -> None:
    """Changed while everything runs, and known at the next RCPT."""
    gil_address = "gil@postriver.test"
    gil = running.add_user(gil_address)
    running.cli("alias", "add", "chief@postriver.test", ANN)
    team = "team@postriver.test"
    said = running.cli("group", "add", team, "chief@postriver.test", gil_address).stdout
    assert said == f"{team}: chief@postriver.test {gil_address}\n"
    before = scans(running)
    mail_id = running.send(mails.plain("To the team"), team, "Chief+x@postriver.test")
    for owner in (ann, gil):
        eventually(lambda owner=owner: owner.message_of(mail_id))
    assert eventually(lambda: full_trace(running, mail_id, 2))
    assert scans(running) - before == 1
    assert "1 mails (of 1)" in running.cli("user", "quota", gil_address, "--mails", "1").stdout
    assert gil.call("GET", "/v1/me")["quota"]["mails"] == {"used": 1, "limit": 1}
    with running.smtp() as client:
        client.ehlo()
        client.mail("sender@sender.example")
        assert client.rcpt(gil_address)[1].startswith(b"4.2.2")
        assert client.rcpt(team)[0] == 250
        assert client.rcpt("nobody@postriver.test")[0] == 550
    refused = running.cli("alias", "remove", "chief@postriver.test", check=False)
    assert refused.returncode == 1
    assert f"is a target of {team}" in refused.stderr


def full_trace(running: World, mail_id: str, ends: int) -> Any:
    found = json.loads(running.cli("trace", mail_id, "--json").stdout)["ends"]
    return found if len(found) == ends and all("stored" in end["where"] for end in found) else None


def scans(running: World) -> float:
    """Mails that the scan stage has finished, from the metrics page."""
    with urllib.request.urlopen(f"http://127.0.0.1:{running.base + 2}/metrics") as answer:
        text = answer.read().decode()
    rows = [row for row in text.splitlines() if row.startswith("postriver_stage_events_total{")]
    mine = [row for row in rows if 'stage="scan"' in row and 'outcome="done"' in row]
    return sum(float(row.rsplit(" ", 1)[1]) for row in mine)


def test_push_change_of_keywords_and_isolation(running: World, ann: Client) -> None:
    eve = running.add_user("eve@postriver.test")
    watcher = subprocess.Popen(
        [str(POSTRIVER), "watch", ANN, "--json"], env=running.env, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert watcher.stderr.readline().startswith("watching")
        unread = ann.folder("inbox")["unread"]
        message = arrive(running, ann, mails.plain("Pushed"))
        frame = json.loads(watcher.stdout.readline())
        assert (frame["change"], frame["message"]["id"]) == ("created", message["id"])
        assert frame["folders"][0]["unread"] == unread + 1
        path = f"/v1/messages/{message['id']}"
        answer = ann.call("PATCH", path, {"unread": False, "flagged": True})
        assert (answer["unread"], answer["flagged"]) == (False, True)
        assert ann.folder("inbox")["unread"] == unread
        after = json.loads(watcher.stdout.readline())
        assert (after["change"], after["seq"]) == ("updated", frame["seq"] + 1)
        with pytest.raises(Unwilling) as foreign:
            eve.call("GET", path)
        with pytest.raises(Unwilling) as unknown:
            eve.call("GET", "/v1/messages/00000000-0000-5000-8000-000000000000")
        assert foreign.value.code == unknown.value.code == 404
    finally:
        watcher.kill()
        watcher.communicate()


def test_the_demo_and_a_second_up(running: World) -> None:
    shown = running.cli("demo").stdout
    assert "250 2.0.0" in shown
    assert "route" in shown
    assert "already running" in running.cli("up", check=False).stdout
    status = running.status()
    assert status["state"] == "ready"
    assert {role["name"] for role in status["roles"]} >= {"intake", "scan", "mailbox", "index"}
