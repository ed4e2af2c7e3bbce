"""Mails with a Message-ID of 60 KB do not delay other mails or the supervisor."""

import time

import pytest

from tests.support.stack_world import Client, World
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
DELIVERY_LIMIT_S = 60.0  # of a small mail after them, which takes about 2 s
ANSWER_LIMIT_S = 5.0  # of the supervisor


def test_mail_of_others_is_delivered(attacked: World) -> None:
    owner = attacked.add_user("ida@postriver.test")
    long_id = b"Message-ID: <" + b"a" * 60_000 + b">\r\nSubject: long\r\n\r\nx\r\n"
    for _ in range(6):
        attacked.send(long_id, "ida@postriver.test")
    began = time.monotonic()
    small = attacked.send(b"Subject: small\r\n\r\nx\r\n", "ida@postriver.test")
    eventually(lambda: _answers(attacked) and owner.message_of(small), within_s=DELIVERY_LIMIT_S)
    print(f"delivered after {time.monotonic() - began:.1f} s")
    _every_line_is_short(attacked, owner)


def _answers(attacked: World) -> bool:
    began = time.monotonic()
    state = attacked.look()["state"]
    assert time.monotonic() - began < ANSWER_LIMIT_S
    return state in {"ready", "degraded"}


def _every_line_is_short(attacked: World, owner: Client) -> None:
    """The long mails are delivered too, and the log of the scanner has their ids cut."""
    eventually(lambda: len(owner.messages("inbox") + owner.messages("junk")) == 7, within_s=120)
    lines = (attacked.home / "log" / "spamd.log").read_bytes().splitlines()
    assert any(line.endswith(b"(cut)") for line in lines)
    assert max(map(len, lines)) <= 4096
