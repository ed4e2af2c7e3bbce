"""Mails that attack a parser or its memory, or hide a virus from the scanner."""

import base64
import binascii
import quopri
import random
import time
from pathlib import Path

import pytest

from tests.attacks.peers import SmtpPeer, Victim, http_request
from tests.support.mails import EICAR
from tests.support.stack_world import Client, Unwilling, World
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
ANN = "ann@postriver.test"
MEMORY_MAX_BYTES = 1_200_000_000  # of one process
ANSWER_MAX_S = 10.0


def mime(boundary: str, body: bytes) -> bytes:
    head = f'Subject: hostile\r\nContent-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n'
    return head.encode() + body


def html(body: str) -> bytes:
    return f"Subject: hostile\r\nContent-Type: text/html\r\n\r\n{body}\r\n".encode()


def field(text: bytes) -> bytes:
    return b"Subject: hostile\r\n" + text + b"\r\n\r\nhi\r\n"


HOSTILE = {
    "a boundary that is a field": mime(
        "x:", (b"--x:\r\n" + b"a: z\r\n" * 8) * 4900 + b"\r\n--x:--\r\n"
    ),
    "a part of nothing but fields": mime(
        "b", b"--b\r\n" + b"a:\r\n" * 2_500_000 + b"\r\nhi\r\n--b--\r\n"
    ),
    "delimiters without parts": mime("b", b"--b\r\n" * 400_000),
    "parts in parts": b"Subject: hostile\r\n"
    + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
        for n in range(50_000)
    ),
    "encoded words": field(b"X: " + b"=?utf-8?q?a?=\r\n " * 60_000),
    "a long message id": field(b"Message-ID: <" + b"a" * 60_000 + b">"),
    "recipients in a header": field(b"To: " + b'"(<' * 200_000),
    "open elements": html("<div>" * 19_900),
    "closing tags of paragraphs": html("<b></p>" * 9_900),
    "attributes of one tag": html("<a " + " ".join(f"a{n}" for n in range(100_000)) + ">x"),
    "comments without an end": html("<!--" * 250_000),
    "quoted-printable without an end": field(b"Content-Transfer-Encoding: quoted-printable")
    + b"=" * 900_000
    + b"\r\n",
}


def restarts(attacked: World) -> dict[str, int]:
    return {row["name"]: row["restarts"] for row in attacked.look()["processes"]}


def memory_bytes(attacked: World) -> int:
    """Return the resident memory of the largest process of the stack."""
    sizes = []
    for row in attacked.look()["processes"]:
        pages = Path(f"/proc/{row['pid']}/statm").read_text(encoding="ascii").split()[1]
        sizes.append(int(pages) * 4096)
    return max(sizes)


def all_rows(owner: Client) -> list[dict]:
    return owner.messages("inbox") + owner.messages("junk")


def test_no_mail_stops_the_mail_of_others(attacked: World, ann: Client) -> None:
    """The hostile mails are delivered and opened by their owner, without delays for others."""
    before = restarts(attacked)
    ids = {attacked.send(mail, ANN): name for name, mail in HOSTILE.items()}
    honest = attacked.send(b"Subject: honest\r\n\r\nhi\r\n", ANN)
    began_s = time.monotonic()
    eventually(lambda: ann.message_of(honest), within_s=120, what="the honest mail")
    print(f"the honest mail took {time.monotonic() - began_s:.1f} s")

    def missing() -> set[str]:
        """Names of mails that are neither in the mailbox nor in quarantine as unscannable."""
        quarantined = attacked.cli("quarantine", "list").stdout
        delivered = {row["mail_id"] for row in all_rows(ann)}
        return {
            name
            for mail_id, name in ids.items()
            if mail_id not in delivered and mail_id not in quarantined
        }

    deadline_s = time.monotonic() + 180
    while missing() and time.monotonic() < deadline_s:
        time.sleep(1.0)
    assert not missing()
    rows = [row for row in all_rows(ann) if row["mail_id"] in ids]
    with Victim(lambda: http_request(attacked, "GET", "/healthz")) as victim:
        for row in rows:
            message = ann.call("GET", f"/v1/messages/{row['id']}")
            assert message["subject"].startswith("hostile"), ids[row["mail_id"]]
            ann.raw("GET", f"/v1/messages/{row['id']}/raw")
    assert victim.longest_s < ANSWER_MAX_S
    assert restarts(attacked) == before
    assert memory_bytes(attacked) < MEMORY_MAX_BYTES


def part(encoding: str, body: bytes, *, kind: str = "application/octet-stream") -> bytes:
    """A mail with a text and an attachment; `body` includes the empty line after the header."""
    head = (
        "Subject: infected\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        "--x\r\n\r\nhi\r\n--x\r\n"
        f"Content-Type: {kind}\r\nContent-Disposition: attachment; filename=eicar.com\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n"
    )
    return head.encode() + body + b"\r\n--x--\r\n"


def infected() -> dict[str, bytes]:
    whole = base64.b64encode(EICAR)
    halves = base64.b64encode(EICAR[:40]) + b"\r\n" + base64.b64encode(EICAR[40:])
    qp = quopri.encodestring(EICAR).rstrip().replace(b"=\n", b"=\r\n")
    octets = b"".join(b"=%02x" % octet for octet in EICAR)
    wide = base64.b64encode(EICAR.decode().encode("utf-16-le"))
    uu = b"begin 644 eicar.com\r\n" + uuencoded(EICAR) + b"`\r\nend"
    noise = random.Random(7)
    sprinkled = b"".join(bytes([c]) + noise.choice([b"", b"!", b"\r\n ", b"."]) for c in whole)

    def soft(at: int, space: bytes) -> bytes:
        return b"\r\n" + EICAR[:at] + b"=" + space + b"\r\n" + EICAR[at:]

    return {
        "plainly": part("base64", b"\r\n" + whole),
        "padded in two pieces": part("base64", b"\r\n" + halves),
        "a soft break with a space": part("quoted-printable", soft(20, b" ")),
        "a soft break with a tab": part("quoted-printable", soft(9, b"\t")),
        "letters as octets": part("quoted-printable", b"\r\n" + octets),
        "quoted-printable": part("quoted-printable", b"\r\n" + qp),
        "no empty line before it": part("base64", whole),
        "foreign octets within": part("base64", b"\r\n" + sprinkled),
        "an encoding with a comment": part("base64 (x)", b"\r\n" + whole),
        "an encoding twice": part("base64\r\nContent-Transfer-Encoding: 7bit", b"\r\n" + whole),
        "an encoding in quotes": part('"base64"', b"\r\n" + whole),
        "two octets a letter": part("base64", b"\r\n" + wide, kind="text/plain; charset=utf-16le"),
        "uuencoded": part("x-uuencode", b"\r\n" + uu),
    }


def uuencoded(data: bytes) -> bytes:
    return b"".join(
        binascii.b2a_uu(data[start : start + 45]).rstrip(b"\n") + b"\r\n"
        for start in range(0, len(data), 45)
    )


def test_no_wrapping_delivers_a_virus(attacked: World, ann: Client) -> None:
    """Each infected mail is in quarantine, or clients receive no octets of the virus."""
    ids = {attacked.send(mail, ANN): name for name, mail in infected().items()}

    def quarantined() -> str:
        return attacked.cli("quarantine", "list").stdout

    def all_decided() -> bool:
        delivered = {row["mail_id"] for row in all_rows(ann)}
        listed = quarantined()
        return all(mail_id in delivered or mail_id in listed for mail_id in ids)

    eventually(all_decided, within_s=120)
    listed = quarantined()
    assert next(mail_id for mail_id, name in ids.items() if name == "plainly") in listed
    passed = [row for row in all_rows(ann) if row["mail_id"] in ids]
    for row in passed:
        assert EICAR not in downloads(ann, row["id"]), ids[row["mail_id"]]


def downloads(owner: Client, id_: str) -> bytes:
    """Return all decoded octets of a message that the API provides."""
    message = owner.call("GET", f"/v1/messages/{id_}")
    pieces = [message["text"].encode(), (message["html"] or "").encode()]
    for attached in message["attachments"]:
        try:
            pieces.append(owner.raw("GET", f"/v1/messages/{id_}/attachments/{attached['n']}"))
        except Unwilling:
            continue
    return b"\n".join(pieces)


def test_a_mail_of_random_octets_is_delivered_unchanged(attacked: World, ann: Client) -> None:
    """Ten thousand random octets in a header field."""
    noise = random.Random(11).randbytes(10_000).replace(b"\r", b"").replace(b"\n", b"\r\n")
    with SmtpPeer(attacked) as peer:
        reply = peer.send(b"Subject: noise\r\nContent-Type: " + noise + b"\r\n", to=ANN)
    assert reply.startswith("250"), reply
    mail_id = next(word for word in reply.split() if word.count("-") == 4)
    row = eventually(
        lambda: next((row for row in all_rows(ann) if row["mail_id"] == mail_id), None),
        within_s=120,
    )
    assert ann.raw("GET", f"/v1/messages/{row['id']}/raw").endswith(noise + b"\r\n")
