"""audit, trace and quarantine on a running stack."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stack.engines.versitygw import bucket_folder
from stack.state_folder import StateFolder
from tests.support import mails
from tests.support.stack_world import PROFILE, Client, World
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
CARA, DORA = "cara@postriver.test", "dora@postriver.test"


@pytest.fixture(scope="module")
def cara(running: World) -> Client:
    return running.add_user(CARA)


def audit(running: World) -> dict[str, Any]:
    done = running.cli("audit", "--since", "1h", "--json", check=False)
    report = json.loads(done.stdout)
    assert done.returncode == (1 if report["lost"] else 0)
    assert sum(report["counts"].values()) == report["deliveries"]
    return report


def trace_ends(running: World, *name: str) -> list[dict[str, Any]]:
    return json.loads(running.cli("trace", *name, "--json").stdout).get("ends", [])


def rows(running: World, *filters: str) -> dict[str, dict[str, Any]]:
    listed = json.loads(running.cli("quarantine", "list", "--json", *filters).stdout)
    return {row["mail_id"]: row for row in listed}


def candidates(running: World) -> list[str]:
    """Return the subjects of the listed mails, in order."""
    lines = running.cli("trace", "--recipient", DORA, "--subject").stdout.splitlines()
    return [line.rpartition("stored  ")[2] for line in lines]


def content_file(running: World, mail_id: str) -> Path:
    """The file of a content that is no row: of the content store, or of the S3 server."""
    if PROFILE == "embedded":
        return running.home / "content" / mail_id[-2:] / mail_id
    (found,) = bucket_folder(StateFolder(running.home)).glob(f"*/content/{mail_id}.*")
    return found


def test_a_mail_is_found_by_each_of_its_names(running: World) -> None:
    dora = running.add_user(DORA)
    mail = mails.plain("Named in four ways")
    header = re.search(rb"Message-ID: (<.*>)", mail)[1].decode()
    mail_id = running.send(mail, DORA)
    message = eventually(lambda: dora.message_of(mail_id))
    eventually(lambda: running.cli("trace", header, check=False).returncode == 0)
    for name in ([mail_id], [header], [message["id"]], ["--recipient", "dora+tag@postriver.test"]):
        (end,) = trace_ends(running, *name)
        assert end["state"] == "stored", name
        assert DORA in end["where"]
        assert end["subject"] is None
        assert end["verdict"]["outcome"] == "clean"
    running.send(mails.plain("Another"), DORA)
    eventually(lambda: candidates(running) == ["Another", "Named in four ways"])
    assert "no mail" in running.cli("trace", "<nobody@knows>", check=False).stderr


def test_a_lost_content_is_named_by_the_audit(running: World, cara: Client) -> None:
    mail_id = running.send(mails.attachment(150_000), CARA)  # over 128 KiB: a file, or an object
    eventually(lambda: cara.message_of(mail_id) or cara.message_of(mail_id, "junk"))
    eventually(lambda: audit(running)["counts"]["in_flight"] == 0)
    content = content_file(running, mail_id)
    aside = content.with_name(f"{content.name}.aside")
    content.rename(aside)
    lost = audit(running)["lost"]
    aside.rename(content)
    assert [(delivery["mail_id"], delivery["why"]) for delivery in lost] == [
        (mail_id, f"content {mail_id} is gone")
    ]
    assert audit(running)["lost"] == []


def test_quarantine_is_released_once_and_deleted_for_good(running: World, cara: Client) -> None:
    before = audit(running)["counts"]["discarded"]
    infected = running.send(mails.eicar(), CARA)
    spam, bad = running.send(mails.gtube(), CARA), running.send(mails.gtube(), CARA)
    eventually(lambda: {infected, spam, bad} <= rows(running).keys())
    assert infected not in rows(running, "--cause", "spam")
    refused = running.cli("quarantine", "release", infected, check=False)
    assert (refused.returncode, "--force" in refused.stderr) == (1, True)
    for _ in range(2):
        running.cli("quarantine", "release", infected, spam, "--force")
    running.cli("quarantine", "delete", bad, given="n\n", check=False)
    assert bad in rows(running)
    running.cli("quarantine", "delete", bad, "--yes")
    assert bad not in rows(running)
    message = eventually(lambda: cara.message_of(spam))
    assert "release" in [hop["stage"] for hop in message["hops"]]
    eventually(lambda: cara.message_of(infected))
    running.cli("quarantine", "release", spam)
    assert rows(running)[spam]["released_by"]
    assert "deleted from quarantine" in running.cli("trace", bad).stdout
    report = audit(running)
    assert report["counts"]["discarded"] == before + 1
    assert report["lost"] == []
    assert cara.message_of(spam), "still there once"
