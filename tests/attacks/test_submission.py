"""Attacks on submission: relaying, names of others, hidden mails, guessed passwords, floods."""

import base64
import contextlib
import socket
import time

import pytest

from tests.attacks.peers import (
    SMTP,
    SUBMISSION,
    SUBMISSIONS,
    SmtpPeer,
    http_request,
    login_status,
)
from tests.support.far_domain import FarDomain
from tests.support.stack_world import Client, World
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
ANN, BEN = "ann@postriver.test", "ben@postriver.test"
CAROL = "carol@far.example"
SENDERS = ("", "a@far.example", ANN, "made.up@postriver.test")
FOREIGN = (
    CAROL, "carol%far.example@postriver.test", "far.example!carol@postriver.test",
    '"carol@far.example"@postriver.test', f"@postriver.test:{CAROL}",
    f"@postriver.test,@b.example:{CAROL}", "carol%far.example@[127.0.0.1]",
    f"{CAROL}@postriver.test", "carol@[127.0.0.1]", "postriver.test!carol@far.example",
)  # fmt: skip
PORTS = ((SUBMISSION, False), (SUBMISSIONS, True))


@pytest.fixture
def signed(attacked: World, ann: Client) -> SmtpPeer:
    """A connection in which ann has signed in."""
    with signed_in(attacked, ANN) as peer:
        yield peer


def signed_in(attacked: World, address: str) -> SmtpPeer:
    peer = SmtpPeer(attacked, port=SUBMISSIONS, tls=True)
    peer.capabilities()
    assert peer.sign_in(address, f"secret of {address}").startswith("235")
    return peer


def hand_in(peer: SmtpPeer, content: str | bytes, *to: str, sender: str = ANN) -> str:
    """Return the reply to a mail, or the first refusal, in a transaction of its own."""
    peer.command("RSET")
    for line in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{path}>" for path in to), "DATA"):
        reply = peer.command(line)
        if reply[:1] not in {"2", "3"}:
            return reply
    peer.socket.sendall(
        (content if isinstance(content, bytes) else content.encode()) + b"\r\n.\r\n"
    )
    return peer.reply()


def submissions(owner: Client) -> set[str]:
    """Their ids: those of other tests may still be on their way."""
    return {row["id"] for row in owner.call("GET", "/v1/submissions?limit=500")["submissions"]}


def mail(subject: str, *fields: str) -> str:
    """A mail of ann."""
    return "\r\n".join([f"From: {ANN}", f"Subject: {subject}", *fields, "", "hi"])


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.6."], ids=["trusted", "stranger"])
def test_the_port_of_other_servers_relays_for_nobody(
    attacked: World, ann: Client, source: str
) -> None:
    """Each connection has fewer refusals than delay the replies."""
    for number, sender in enumerate(SENDERS):
        for start in (0, 5):
            host = f"{source}{1 + 2 * number + start // 5}" if source.endswith(".") else source
            with SmtpPeer(attacked, host) as peer:
                assert "AUTH" not in peer.capabilities()
                assert peer.sign_in(ANN, f"secret of {ANN}").startswith("5")
                assert peer.command(f"MAIL FROM:<{sender}>").startswith("250")
                for path in FOREIGN[start : start + 5]:
                    assert peer.command(f"RCPT TO:<{path}>").startswith("55"), (sender, path)
                assert peer.command("DATA").startswith("5")


def test_submission_is_for_those_who_signed_in_under_tls(attacked: World, ann: Client) -> None:
    for port, tls in PORTS:
        with SmtpPeer(attacked, port=port, tls=tls) as peer:
            if not tls:
                assert "AUTH" not in peer.capabilities()
                assert peer.sign_in(ANN, f"secret of {ANN}").startswith("538")
                assert peer.command(f"MAIL FROM:<{ANN}>").startswith("530")
                assert peer.start_tls().startswith("220")
            assert "AUTH PLAIN LOGIN" in peer.capabilities()
            for line in (f"MAIL FROM:<{ANN}>", "MAIL FROM:<>", f"RCPT TO:<{BEN}>", "DATA"):
                assert peer.command(line).startswith("530"), line
            peer.socket.sendall(b"BDAT 4 LAST\r\nhi\r\n")
            assert peer.reply().startswith("530")
            assert peer.sign_in(ANN, "wrong").startswith("535")
            other = base64.b64encode(f"{BEN}\0{ANN}\0secret of {ANN}".encode()).decode()
            assert peer.command(f"AUTH PLAIN {other}").startswith("535")


def test_a_path_leads_to_the_domain_behind_its_last_at(
    attacked: World, ann: Client, far: FarDomain, signed: SmtpPeer
) -> None:
    """Of ann's mails too: no part of a local part or of a route becomes a recipient."""
    for path in FOREIGN:
        if not path.endswith("@postriver.test"):
            continue
        reply = hand_in(signed, mail("never sent"), path)
        assert reply.startswith("55"), (path, reply)
    kept = (
        "carol%postriver.test@far.example", "postriver.test!carol@far.example",
        '"carol@postriver.test"@far.example',
    )  # fmt: skip
    routed = f"@postriver.test,@b.example:{CAROL}", f"@far.example:{ANN}"
    assert hand_in(signed, mail("by strange paths"), *kept, *routed).startswith("250")
    (arrived,) = eventually(lambda: far.with_text(b"by strange paths"), what="the mail")
    assert set(arrived.recipients) == {*kept, CAROL}
    assert arrived.reverse_path.startswith("bounce+")
    eventually(lambda: "by strange paths" in subjects(ann, "inbox"), what="ann's own copy")
    assert far.with_text(b"never sent") == []


def subjects(owner: Client, folder: str) -> list[str]:
    return [row["subject"] for row in owner.messages(folder)]


def test_nobody_sends_in_the_name_of_another(
    attacked: World, ann: Client, ben: Client, far: FarDomain, signed: SmtpPeer
) -> None:
    before = submissions(ann), submissions(ben)
    for sender in (BEN, CAROL, "postmaster@postriver.test", f"{ANN}@postriver.test"):
        reply = hand_in(signed, mail("forged"), BEN, sender=sender)
        assert reply.startswith(("550", "553", "501")), (sender, reply)
    for fields in (
        f"From: {BEN}", f"From: {ANN}, {BEN}", f"From: {BEN}\r\nFrom: {ANN}",
        f"From: {ANN}\r\nfrom: {BEN}", f"From: {ANN}\r\nSender: {BEN}", f"From: all: {ANN};",
        f"From: =?utf-8?q?ben=40postriver.test?= <{BEN}>", f"From: {ANN}\r\nResent-From: {BEN}",
        f"From : {BEN}\r\nFrom: {ANN}", f"From: {ANN} <{BEN}>", f"From:\r\n {BEN}",
        f"From: {ANN}\r\n\x0bFrom: {BEN}", f"From: {ANN}\x00", "Subject: without From",
    ):  # fmt: skip
        reply = hand_in(signed, f"{fields}\r\nTo: {BEN}\r\n\r\nforged", BEN, CAROL)
        assert reply.startswith("550 5."), (fields, reply)
    assert (submissions(ann), submissions(ben)) == before
    assert far.with_text(b"forged") == []


def test_no_mail_hides_a_second_mail(
    attacked: World, ann: Client, ben: Client, far: FarDomain
) -> None:
    """SMTP smuggling: an end of the content that only one of two servers understands."""
    hidden = f"MAIL FROM:<{ANN}>\r\nRCPT TO:<{CAROL}>\r\nDATA\r\n{mail('smuggled')}"
    for end in ("\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\r\n\x00.\r\n"):
        with signed_in(attacked, ANN) as peer:
            assert hand_in(peer, mail("carrier") + end + hidden, CAROL)[:5] in {"554 5", "550 5"}
            assert peer.command("QUIT").startswith("221"), "one reply for one mail"
    with signed_in(attacked, ANN) as peer:
        whole = mail("in chunks") + "\r\n.\r\n" + hidden.replace("smuggled", "as text") + "\r\n"
        lines = f"MAIL FROM:<{ANN}>\r\nRCPT TO:<{CAROL}>\r\nBDAT {len(whole)} LAST\r\n{whole}"
        peer.socket.sendall(lines.encode())
        assert [peer.reply()[:3] for _ in range(3)] == ["250"] * 3
    (arrived,) = eventually(lambda: far.with_text(b"in chunks"), what="the mail in chunks")
    assert arrived.recipients == (CAROL,)
    assert arrived.content.endswith(whole.encode())
    assert far.with_text(b"as text") == [arrived]
    assert far.with_text(b"smuggled") == far.with_text(b"carrier") == []


def test_no_recipient_sees_bcc(
    attacked: World, ann: Client, ben: Client, far: FarDomain, signed: SmtpPeer
) -> None:
    """By SMTP and by the API, to another server and to a mailbox here."""
    hidden = "Bcc: dave@far.example,\r\n\tErin <erin@far.example>"
    written = mail("secret 1", f"To: {BEN}", hidden, "Resent-Bcc: dave@far.example")
    to = (BEN, CAROL, "dave@far.example", "erin@far.example")
    assert hand_in(signed, written, *to).startswith("250")
    body = {"to": [BEN, CAROL], "bcc": ["dave@far.example", "Erin <erin@far.example>"]}
    ann.call("POST", "/v1/messages", body | {"subject": "secret 2", "text": "hi"})
    for subject in ("secret 1", "secret 2"):
        arrived = eventually(lambda: far.with_text(subject.encode()), what=subject)  # noqa: B023
        assert {path for one in arrived for path in one.recipients} == set(to) - {BEN}
        row = eventually(lambda: with_subject(ben, subject), what=subject)  # noqa: B023
        shown = ben.raw("GET", f"/v1/messages/{row['id']}")
        octets = ben.raw("GET", f"/v1/messages/{row['id']}/raw")
        for seen in (shown, octets, *(one.content for one in arrived)):
            assert not any(word in seen.lower() for word in (b"dave", b"erin", b"bcc:"))
        copy = eventually(lambda: with_subject(ann, subject, "sent"), what=subject)  # noqa: B023
        assert b"dave@" in ann.raw("GET", f"/v1/messages/{copy['id']}/raw")


def with_subject(owner: Client, subject: str, folder: str = "inbox") -> dict | None:
    return next((row for row in owner.messages(folder) if row["subject"] == subject), None)


def test_guesses_at_submission_count_for_all_protocols(attacked: World) -> None:
    """Ten wrong passwords from one peer end guessing at every edge; the owner can still sign in."""
    address, guesser, home = "dora@postriver.test", "127.0.7.1", "127.0.7.2"
    dora = attacked.add_user(address)
    assert login_status(attacked, address, f"secret of {address}", home) == 200
    refused = []
    while len(refused) < 10:
        with SmtpPeer(attacked, guesser, port=SUBMISSIONS, tls=True) as peer:
            peer.capabilities()
            refused += [peer.sign_in(address, f"guess {n}") for n in range(3)]
            assert peer.reply().startswith("421")
    assert {reply[:3] for reply in refused} <= {"535", "454"}
    assert login_status(attacked, address, f"secret of {address}", guesser) == 429
    assert login_status(attacked, address, f"secret of {address}", home) == 200
    assert dora.call("GET", "/v1/me")


def test_many_slow_connections_to_submission_stop_nothing_else(
    attacked: World, ann: Client, ben: Client
) -> None:
    """Four peers open all connections that they get, and are silent at different steps."""
    with contextlib.ExitStack() as stack:
        for host in range(1, 5):
            for number in range(50):
                port, tls = PORTS[number % 2]
                address = ("127.0.0.1", attacked.base + port)
                peer = stack.enter_context(
                    socket.create_connection(address, 60, source_address=(f"127.0.8.{host}", 0))
                )
                peer.sendall(b"\x16\x03\x01" if tls else b"EHLO slow.example\r\nSTARTTLS\r\n")
        began_s = time.monotonic()
        with SmtpPeer(attacked, "127.0.8.99", port=SMTP) as honest:
            assert honest.send(b"Subject: in\r\n\r\nhi\r\n", to=ANN).startswith("250")
        assert http_request(attacked, "GET", "/healthz")[0] == 200
        with signed_in(attacked, BEN) as honest:
            content = mail("out").replace(ANN, BEN)
            assert hand_in(honest, content, ANN, sender=BEN).startswith("250")
        assert time.monotonic() - began_s < 10
        eventually(lambda: {"in", "out"} <= set(subjects(ann, "inbox")), within_s=120)
