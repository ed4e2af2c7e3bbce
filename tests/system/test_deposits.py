"""Drafts and uploads on a whole stack: real scanner, outages, kills, audit, trace."""

import base64
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mail.ids import new_id
from tests.support import mails
from tests.support.stack_world import Client, Unwilling, World, world
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
DEPOSITS = 50
PACKED = b"x" * 58 + mails.EICAR  # found in the decoded attachment alone


@pytest.fixture(scope="module")
def running() -> Iterator[World]:
    with world() as mine:
        yield mine


@pytest.fixture
def address() -> str:
    """Of a user of this test alone."""
    return f"ann.{new_id()}@postriver.test"


@pytest.fixture
def ann(running: World, address: str) -> Client:
    return running.add_user(address)


def upload(owner: Client, octets: bytes, name: str = "a.bin") -> dict[str, Any]:
    request = urllib.request.Request(owner.base + "/v1/uploads", octets, method="POST")
    request.add_header("Authorization", f"Bearer {owner.token}")
    request.add_header("Content-Type", "application/octet-stream")
    request.add_header("Content-Disposition", f'attachment; filename="{name}"')
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            raise Unwilling(error.code, error.read()) from None


def drafts(owner: Client) -> list[dict[str, Any]]:
    return owner.messages("drafts")


def refusal(act: Any) -> Unwilling:
    with pytest.raises(Unwilling) as failure:
        act()
    return failure.value


def lost(running: World) -> list[Any]:
    return json.loads(running.cli("audit", "--since", "1h", "--json").stdout)["lost"]


def test_a_draft_is_in_its_folder_and_its_life_can_be_traced(
    running: World, ann: Client, address: str
) -> None:
    octets = bytes(range(256)) * 4_000
    sent = upload(ann, octets)
    saved = ann.call("POST", "/v1/drafts", {
        "to": ["bob@postriver.test"], "subject": "The report", "text": "See the file.",
        "attachments": [{"upload_id": sent["id"]}],
    })  # fmt: skip
    (row,) = drafts(ann)
    assert row["id"] == saved["message_id"]
    message = ann.call("GET", f"/v1/messages/{row['id']}")
    n = message["attachments"][0]["n"]
    assert ann.raw("GET", f"/v1/messages/{row['id']}/attachments/{n}") == octets
    traced = json.loads(running.cli("trace", row["mail_id"], "--json").stdout)
    (end,) = traced["ends"]
    assert end["state"] == "stored"
    assert end["where"].startswith("put there by user")
    assert address in end["where"]
    hop = end["hops"][0]
    assert (hop["stage"], hop["verdict"]) == ("append", "clean")
    assert hop["worker"].startswith("api")
    assert end["verdict"]["signatures"].startswith("ClamAV")
    assert lost(running) == []
    eventually(lambda: ": 0 differences" in running.cli("verify", "--content", check=False).stdout)
    ann.call("DELETE", f"/v1/drafts/{saved['id']}")
    assert drafts(ann) == []


def test_what_is_infected_is_refused_and_nothing_is_stored(ann: Client) -> None:
    found = refusal(lambda: upload(ann, PACKED))
    assert found.code == 422
    assert "infected" in str(found)
    assert "eicar" in str(found).lower(), "the signature has a name"
    attached = {"content_base64": base64.b64encode(PACKED).decode(), "filename": "a.bin"}
    found = refusal(
        lambda: ann.call("POST", "/v1/drafts", {"subject": "x", "attachments": [attached]})
    )
    assert found.code == 422
    assert "eicar" in str(found).lower()
    assert drafts(ann) == []


def test_without_the_scanner_nothing_is_accepted(running: World, ann: Client) -> None:
    before = ann.call("GET", "/v1/me")["quota"]["bytes"]["used"]
    with running.unstartable("clamd", running.home / "engines" / "clamd" / "clamd.conf"):
        for act in (
            lambda: ann.call("POST", "/v1/drafts", {"subject": "while clamd is away"}),
            lambda: upload(ann, b"file"),
        ):
            assert refusal(act).code == 503
        assert drafts(ann) == []
        assert ann.call("GET", "/v1/me")["quota"]["bytes"]["used"] == before
    eventually(lambda: upload(ann, b"file"), within_s=120)


def test_no_reader_sees_none_or_two_versions_of_a_draft(ann: Client) -> None:
    saved = ann.call("POST", "/v1/drafts", {"subject": "Version 0"})
    counts, stop = set(), threading.Event()

    def look() -> None:
        while not stop.is_set():
            counts.add(len(drafts(ann)))

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(1, 16):
        ann.call("PUT", f"/v1/drafts/{saved['id']}", {"subject": f"Version {number}"})
    stop.set()
    for reader in readers:
        reader.join()
    assert counts == {1}
    assert drafts(ann)[0]["subject"] == "Version 15"
    ann.call("DELETE", f"/v1/drafts/{saved['id']}")


def test_kills_of_the_api_lose_and_double_nothing_that_was_answered(
    running: World, ann: Client
) -> None:
    """A client that gets no answer repeats with the same `client_id`."""
    answered: dict[int, str] = {}

    def save(number: int) -> None:
        body = {"subject": f"Deposit {number}", "text": "x" * 50_000, "client_id": f"c{number}"}
        saved = eventually(lambda: ann.call("POST", "/v1/drafts", body), within_s=180)
        answered[number] = saved["id"]

    with ThreadPoolExecutor(8) as clients:
        work = [clients.submit(save, number) for number in range(DEPOSITS)]
        for done in (DEPOSITS // 5, DEPOSITS // 2):
            eventually(lambda done=done: len(answered) >= done, within_s=180)
            running.kill("api")
        for each in work:
            each.result()
    rows = drafts(ann)
    subjects = sorted(row["subject"] for row in rows)
    assert subjects == sorted(f"Deposit {number}" for number in range(DEPOSITS))
    assert len(set(answered.values())) == DEPOSITS
    folder = ann.folder("drafts")
    assert (folder["total"], folder["unread"]) == (DEPOSITS, 0)
    assert lost(running) == []
    eventually(lambda: ": 0 differences" in running.cli("verify", "--content", check=False).stdout)
