"""What people write, and who they are, is in no process's log; each line of ours is an object."""

import json
from contextlib import suppress

import pytest

from tests.support import mails
from tests.support.stack_world import Client, Unwilling, World
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
TELLING = "Quokkabird"  # in every name, subject and text below; no program of ours says it itself


def test_no_log_tells_of_anybody(running: World) -> None:
    owner = running.add_user(f"{TELLING}@postriver.test")
    mail_ids = [
        running.send(mail, f"{TELLING}+box@postriver.test")
        for mail in (
            mails.compose(TELLING, f"{TELLING} speaks", attach=TELLING.encode()),
            f"Subject: {TELLING}\r\nMIME-Version: 1.0\r\nContent-Type: {TELLING}/;;=".encode(),
        )
    ]
    for address in (f"{TELLING}@elsewhere.test", f"un{TELLING}@postriver.test"):
        with running.smtp() as client:
            client.ehlo(TELLING)
            client.mail(f"{TELLING}@sender.example")
            assert client.rcpt(address)[0] == 550
            client.docmd(TELLING)
    for mail_id in mail_ids:
        eventually(
            lambda mail_id=mail_id: owner.message_of(mail_id) or owner.message_of(mail_id, "junk"),
            what=mail_id,
        )
    for body in ({"address": f"{TELLING}@postriver.test", "password": TELLING}, {TELLING: TELLING}):
        with suppress(Unwilling):
            Client(running.http, "").call("POST", "/v1/login", body)
    owner.call("GET", f"/v1/search?q={TELLING}")
    with pytest.raises(Unwilling):
        owner.call("GET", f"/v1/messages/{TELLING}")
    logs = sorted((running.home / "log").glob("*.log"))
    assert {"ingress", "intake", "scan", "mailbox", "index", "api"} <= {log.stem for log in logs}
    ours = {row["name"] for row in running.look()["processes"]} | {"supervisor"}
    assert "ingress" in ours
    for log in logs:  # other files: engines' logs, and lists such as that of backups
        text = log.read_text(errors="replace")
        assert TELLING.lower() not in text.lower(), log.name
        if log.stem in ours:
            for line in text.splitlines():
                assert json.loads(line)["process"], line
