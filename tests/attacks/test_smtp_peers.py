"""SMTP attacks on connections, memory and time, and enumeration of mailboxes by RCPT."""

import pytest

from tests.attacks.peers import SmtpPeer, connected, run_concurrently
from tests.support.stack_world import Client, World
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
ANN = "ann@postriver.test"


def test_two_peers_cannot_hold_every_transaction(attacked: World, ann: Client) -> None:
    """Fifty connections each, all in DATA and slow; a mail of a third peer is accepted."""

    def greedy() -> list[SmtpPeer]:
        return [SmtpPeer(attacked, f"127.0.0.{host}") for host in (2, 3) for _ in range(50)]

    with connected(iter(greedy())) as peers:
        taken = sum(peer.begin(to=ANN).startswith("354") for peer in peers)
        assert taken > 0
        for peer in peers:
            try:
                peer.socket.sendall(b"Subject: slow\r\n")
            except ConnectionError:
                continue
        with SmtpPeer(attacked, "127.0.0.4") as honest:
            reply = honest.send(b"Subject: third\r\n\r\nhi\r\n", to=ANN)
        assert reply.startswith("250"), reply


def test_one_peer_cannot_hold_all_memory(attacked: World, ann: Client) -> None:
    """Eleven unfinished mails of nearly the maximum size; another peer can send a small mail."""
    block = b"y" * 998 + b"\r\n"
    with connected(SmtpPeer(attacked, "127.0.0.2") for _ in range(11)) as peers:
        for peer in peers:
            if not peer.begin(to=ANN).startswith("354"):
                continue
            try:
                peer.socket.sendall(block * 47_000)
            except (ConnectionError, TimeoutError):
                continue
        with SmtpPeer(attacked, "127.0.0.4") as honest:
            reply = honest.send(b"Subject: small\r\n\r\n" + b"x" * 2000 + b"\r\n", to=ANN)
        assert reply.startswith("250"), reply


def test_mailboxes_cannot_be_counted_by_rcpt(attacked: World, ann: Client) -> None:
    """Guesses on eight connections; each ends after 20, then the peer learns nothing more."""

    def guess(connection: int) -> int:
        with SmtpPeer(attacked, "127.0.0.9") as peer:
            peer.command("EHLO guess.example")
            peer.command("MAIL FROM:<guess@sender.example>")
            refused = 0
            while peer.command(f"RCPT TO:<u{connection}.{refused}@postriver.test>")[:3] == "550":
                refused += 1
                assert refused <= 20, "no end of guesses"
        return refused

    refused = run_concurrently(8, guess)
    assert 100 <= sum(refused) <= 110, refused
    with SmtpPeer(attacked, "127.0.0.9") as peer:
        assert peer.begin(to=ANN).startswith("421")
    with SmtpPeer(attacked, "127.0.0.4") as honest:
        assert honest.begin(to=ANN).startswith("354")


def test_talk_after_the_attacks_is_as_before(attacked: World, ann: Client) -> None:
    mail_id = attacked.send(b"Subject: after\r\n\r\nhi\r\n", ANN)
    eventually(lambda: ann.message_of(mail_id), within_s=120)
