"""Make state.tar.xz: a small state folder of one version, with every kind of state.

    cd CHECKOUT_OF_THAT_VERSION
    PYTHONPATH=. .venv/bin/python THIS_FILE OUT.tar.xz

Uses that version's own tests/e2e. Its content is listed in tests/system/upgrade/test_upgrade.py.
"""

import asyncio
import json
import signal
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from aiokafka import AIOKafkaProducer

from tests.support import mails
from tests.support.stack_world import Client, World, free_port_base
from tests.support.waiting import eventually

ANN, BEN = "ann@postriver.test", "ben@postriver.test"
FIVE = (ANN, BEN, "alice@postriver.test", "bob@postriver.test", "cleo@postriver.test")
LEFT_OUT = {"run", "log", "engines", "lock"}  # made at each start
JUNK = {"POSTRIVER_JUNK_SCORE": "3", "POSTRIVER_QUARANTINE_SCORE": "1000"}
SHADY = b"Subject: MAKE MONEY FAST\r\nReply-To: x@y.example\r\n\r\nVIAGRA! http://192.0.2.1/\r\n"


def main(out: Path) -> None:
    top = Path(tempfile.mkdtemp(prefix="postriver-fixture-"))
    top.chmod(0o711)
    running = World(top / "home", free_port_base(), JUNK)
    running.up()
    try:
        told = fill(running)
    finally:
        running.down()
    pack(running.home, json.dumps(told, indent=1, ensure_ascii=False), out)
    print(f"{out}: {out.stat().st_size} bytes; {len(told)} facts; from {running.home}")


def fill(running: World) -> dict[str, object]:
    """Mails that were stored, then mails at every place between two stages."""
    ann, ben = running.add_user(ANN), running.add_user(BEN)
    running.add_user(FIVE[4])
    running.cli("user", "disable", FIVE[4])
    for address in FIVE[2:4]:
        running.cli("user", "passwd", address, "--password-stdin", given=f"secret of {address}\n")
    sent = {
        "plain": running.send(mails.plain(), ANN),
        "html": running.send(mails.html(), ANN),
        "korean": running.send(mails.korean(), ANN, BEN),
        "attachment": running.send(mails.attachment(60_000), BEN),
        "plus": running.send(mails.plain("By plus-address"), "ann+list@postriver.test"),
        "five": running.send(mails.plain("To five people"), *FIVE),
        "broken": running.send(mails.broken_mime(), BEN),
        "junk": running.send(SHADY, ANN),
        "infected": running.send(mails.eicar(), ANN),
    }
    change(ann, eventually(lambda: ann.message_of(sent["plain"])), unread=False, flagged=True)
    change(ann, eventually(lambda: ann.message_of(sent["korean"])), flagged=True)
    for owner, name in ((ann, "html"), (ann, "plus"), (ben, "attachment"), (ben, "five")):
        eventually(lambda owner=owner, name=name: owner.message_of(sent[name]))
    eventually(lambda: ann.message_of(sent["junk"], "junk"))
    eventually(lambda: sent["infected"] in running.cli("quarantine", "list").stdout)
    asyncio.run(write_garbage(running))
    eventually(lambda: "no dead letters" not in running.cli("dead-letters", "list").stdout)
    wait_indexed(running)
    return {"sent": sent, "seen": seen(ann, ben), "waiting": leave_waiting(running, ann)}


def change(owner: Client, message: dict, **what: object) -> None:
    owner.call("PATCH", f"/v1/messages/{message['id']}", what)


async def write_garbage(running: World) -> None:
    """What no version can decode: it is parked."""
    async with AIOKafkaProducer(**running.bootstrap.options) as producer:
        await producer.send_and_wait("mailbox.commands", b"no event of ours", key=b"nobody")


def wait_indexed(running: World) -> None:
    eventually(lambda: all(role["lag"] == 0 for role in running.status()["roles"]))


def seen(*owners: Client) -> list[dict]:
    """What lists and folders show."""
    return [
        {
            "folders": owner.call("GET", "/v1/folders")["folders"],
            "messages": [message for name in ("inbox", "junk") for message in owner.messages(name)],
        }
        for owner in owners
    ]


def leave_waiting(running: World, ann: Client) -> dict[str, str]:
    """Stored but not indexed; commanded but not stored; validated but not scanned."""
    plain = next(one for one in ann.messages("inbox") if one["subject"] == "With markup")
    running.kill("index", signal.SIGSTOP)
    waiting = {"unindexed": running.send(mails.plain("Stored, not indexed yet"), ANN)}
    eventually(lambda: ann.message_of(waiting["unindexed"]))
    running.kill("mailbox", signal.SIGSTOP)
    waiting["commanded"] = running.send(mails.plain("Commanded, not stored yet"), ANN, BEN)
    change(ann, plain, flagged=True)  # answered with 202 after 10 s: the mailbox does not hear it
    conf = running.home / "engines" / "clamd" / "clamd.conf"
    conf.rename(conf.with_suffix(".aside"))
    running.kill("clamd")
    waiting["unscanned"] = running.send(mails.plain("Not scanned yet"), ANN)
    waiting["unscanned big"] = running.send(mails.attachment(50_000), BEN)
    waiting["unscanned infected"] = running.send(mails.eicar(), BEN)
    time.sleep(2)  # validate has passed them on
    assert ann.message_of(waiting["commanded"]) is None
    return waiting


def pack(home: Path, told: str, out: Path) -> None:
    note = home.parent / "told.json"
    note.write_text(told, encoding="utf-8")
    with tarfile.open(out, "w:xz", preset=9) as packed:
        packed.add(note, arcname=note.name, filter=kept)
        packed.add(home, arcname="home", filter=kept)


def kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = Path(member.name).parts
    if len(parts) > 1 and parts[1] in LEFT_OUT:
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
