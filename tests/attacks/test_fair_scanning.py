"""Fairness between peers: a burst of 600 mails from one peer does not delay mail of another."""

import smtplib
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.stack_world import Client, World
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
MAILS = 600  # offered by the burst
CONNECTIONS = 10  # of the burst; fewer than its share of mails being read
DELIVERY_LIMIT_S = 15.0  # in addition to the time without a burst
BURST, OTHER = "127.0.0.2", "127.0.0.3"
MAIL = b"Subject: %s\r\nFrom: <a@sender.example>\r\n\r\nNothing of interest.\r\n"


class Burst:
    """Offers mails on many connections until the end, also after refusals."""

    def __init__(self, attacked: World, address: str) -> None:
        self.replies: Counter[str] = Counter()
        self.end = threading.Event()
        self._port, self._address = attacked.base, address

    @property
    def offered(self) -> int:
        return self.replies.total()

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._run, daemon=True) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.end.set()
            for thread in threads:
                thread.join(60)

    def _run(self) -> None:
        with smtplib.SMTP("127.0.0.1", self._port, "b.example", 60, (BURST, 0)) as client:
            client.ehlo()
            while not self.end.is_set():
                self.replies[self._offer(client)] += 1

    def _offer(self, client: smtplib.SMTP) -> str:
        code, text = client.mail("a@burst.example")
        if code == 250:
            assert client.rcpt(self._address)[0] == 250
            try:
                code, text = client.data(MAIL % b"burst")
            except smtplib.SMTPDataError as refusal:
                code, text = refusal.args
                client.rset()
        return f"{code} {text.decode()[:5]}"


def send(attacked: World, peer: str, address: str) -> str:
    """Send one mail, which must be accepted at the first attempt, and return its mail id."""
    with smtplib.SMTP("127.0.0.1", attacked.base, "o.example", 60, (peer, 0)) as client:
        client.ehlo()
        assert client.mail("b@other.example")[0] == 250
        assert client.rcpt(address)[0] == 250
        code, text = client.data(MAIL % b"other")
    assert code == 250, text
    return next(word for word in text.decode().split() if word.count("-") == 4)


def delivered_after_s(attacked: World, owner: Client) -> float:
    began = time.monotonic()
    mail_id = send(attacked, OTHER, "bea@postriver.test")
    eventually(lambda: owner.message_of(mail_id), within_s=120)
    return time.monotonic() - began


def test_mail_of_another_peer_is_delivered_meanwhile(attacked: World) -> None:
    attacked.add_user("flo@postriver.test")
    bea = attacked.add_user("bea@postriver.test")
    alone_s = delivered_after_s(attacked, bea)
    burst = Burst(attacked, "flo@postriver.test")
    with burst.running():
        eventually(lambda: burst.replies["451 4.7.1"], within_s=120, what="the burst is limited")
        taken_s = [delivered_after_s(attacked, bea) for _ in range(3)]
        eventually(lambda: burst.offered >= MAILS, within_s=120)
        taken_s += [delivered_after_s(attacked, bea) for _ in range(2)]
    print(f"alone {alone_s:.1f} s, during a burst {taken_s}; replies to the burst {burst.replies}")
    assert statistics.median(taken_s) < DELIVERY_LIMIT_S + alone_s
    assert set(burst.replies) == {"250 2.0.0", "451 4.7.1"}
