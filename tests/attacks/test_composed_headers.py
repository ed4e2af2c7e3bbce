"""Header injection through every field of POST /v1/messages, seen in what arrives and in Sent.

Each hostile text is refused with 422 and the place, or the mail that leaves has no header field,
part or recipient that its author did not give.
"""

import base64
import email
import email.policy
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Any

import pytest

from tests.attacks.peers import http_request
from tests.support.far_domain import FarDomain
from tests.support.stack_world import Client, World
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
ANN, CAROL, DAVE = "ann@postriver.test", "carol@far.example", "dave@far.example"
LATER_S = 300 * 86_400
EVIL = "X-Evil: 1"
HOSTILE = (
    f"\r\n{EVIL}", f"\n{EVIL}", f"\r{EVIL}", f"\r\n {EVIL}", f"\x00{EVIL}", f"\u2028{EVIL}",
    f"\u2029{EVIL}", f"\x85{EVIL}", f"\x0b{EVIL}", f"\x0c{EVIL}", f"\x1c{EVIL}", "\r\n\r\nevil",
    "\r\n.\r\nevil", "=?utf-8?q?=0D=0AX-Evil:_1?=", "=?utf-8?b?DQpYLUV2aWw6IDE=?=",
    f"%0D%0A{EVIL}", ", evil@far.example", "<evil@far.example>", '" <evil@far.example>, "',
    "; evil=1", "evil@far.example,", '"', "\\",
)  # fmt: skip
FIELDS: dict[str, Callable[[str], Any]] = {
    "subject": lambda text: f"a{text}b",
    "reply_to": lambda text: [f"A {text} <{DAVE}>"],
    "headers": lambda text: {"X-Own": f"a{text}b"},
    "headers.name": lambda text: {f"X-Own{text}": "a"},
    "headers.plain": lambda text: {"Comments": f"a{text}b"},
    "from": lambda text: f"Ann {text} <{ANN}>",
    "from.address": lambda text: {"address": f"{ANN}{text}"},
    "from.name": lambda text: {"address": ANN, "name": f"Ann{text}"},
    "attachments.content_id": lambda text: [{"content_base64": "YQ==", "content_id": f"i{text}"}],
} | {
    f"{name}{form}": make
    for name in ("to", "cc", "bcc")
    for form, make in {
        "": lambda text: [f"C{text} <{CAROL}>"],
        ".bare": lambda text: [f"{CAROL}{text}"],
        ".local": lambda text: [f"carol{text}@far.example"],
        ".address": lambda text: [{"address": f"{CAROL}{text}"}],
        ".name": lambda text: [{"address": CAROL, "name": f"C{text}"}],
    }.items()
}  # fmt: skip
ALLOWED = {
    "received", "dkim-signature", "from", "to", "cc", "reply-to", "subject", "date", "message-id",
    "mime-version", "content-type", "content-transfer-encoding", "x-number", "x-own", "comments",
    "in-reply-to", "references",
}  # fmt: skip
OF_PARTS = {"content-type", "content-transfer-encoding", "content-disposition", "content-id"}


def post(attacked: World, owner: Client, **fields: Any) -> tuple[int, dict[str, Any]]:
    body = {"to": [CAROL], "text": "hi"} | fields
    headers = [("Authorization", f"Bearer {owner.token}")]
    status, answer = http_request(attacked, "POST", "/v1/messages", body=body, headers=headers)
    return status, json.loads(answer)


def hostile_fields() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Label, hostile text and fields of each request."""
    for name, make in FIELDS.items():
        for text in HOSTILE:
            if name.endswith(".bare") and text.startswith("<"):
                continue  # a name and an address
            yield f"{name}: {text!r}", text, {name.partition(".")[0]: make(text)}


def test_no_field_injects_a_header_or_a_recipient(
    attacked: World, ann: Client, far: FarDomain
) -> None:
    """Each field alone is refused or held for a year; of one text, all fields together are sent."""
    accepted: dict[str, dict[str, Any]] = defaultdict(lambda: {"to": [CAROL], "headers": {}})
    refused = 0
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + LATER_S))
    for label, text, fields in hostile_fields():
        status, answer = post(attacked, ann, send_at=later, **fields)
        if status == 202:
            add(accepted[text], fields)
            continue
        refused += 1
        assert status == 422, (label, status, answer)
        assert answer["place"].startswith(next(iter(fields))), (label, answer)
    assert refused > 300
    assert len(accepted) > 5
    sent: dict[bytes, tuple[str, str]] = {}  # by its mark: the text, and the message in Sent
    for number, (text, fields) in enumerate(accepted.items()):
        fields["headers"]["X-Number"] = f"n{number}n"
        status, answer = post(attacked, ann, **fields)
        assert status == 202, (text, fields, answer)
        sent[f"X-Number: n{number}n\r\n".encode()] = text, answer["id"]
    arrived = eventually(lambda: all_of(far, set(sent)), within_s=180, what="the accepted mails")
    for mark, (text, message_id) in sent.items():
        mail = arrived[mark]
        assert all(map(is_given, mail.recipients)), text
        check_header(mail.content, text)
        check_header(ann.raw("GET", f"/v1/messages/{message_id}/raw"), text, bcc=True)


def add(fields: dict[str, Any], more: dict[str, Any]) -> None:
    """Add values to lists and objects; of other fields the last value stays."""
    for name, value in more.items():
        if name in {"to", "cc", "bcc", "reply_to"}:
            fields.setdefault(name, []).extend(value)
        elif name == "headers":
            fields[name] |= value
        else:
            fields[name] = value


def all_of(far: FarDomain, marks: set[bytes]) -> dict[bytes, Any]:
    """The mails that arrived, by mark, once there is one for each of `marks`."""
    found = {mark: mail for mail in far.received for mark in marks if mark in mail.content}
    return found if len(found) == len(marks) else {}


def is_given(address: str) -> bool:
    """Whether the author wrote the address, perhaps with hostile text in its local part."""
    local, _, domain = address.rpartition("@")
    return address == ANN or (domain == "far.example" and local.startswith(("carol", "dave")))


def check_header(octets: bytes, label: str, *, bcc: bool = False) -> EmailMessage:
    """The header has known fields, each once but for signatures, and the right addresses."""
    header = octets.partition(b"\r\n\r\n")[0] + b"\r\n"
    for line in header.split(b"\r\n")[:-1]:
        assert line[:1] in b" \t" or b":" in line, (label, line)
    assert not any(octet in header.replace(b"\r\n", b"") for octet in b"\r\n\0\x0b\x0c"), label
    mail = email.message_from_bytes(octets, policy=email.policy.default)
    names = [name.lower() for name in mail.keys()]  # noqa: SIM118  a mail iterates over nothing else
    assert set(names) <= ALLOWED | ({"bcc"} if bcc else set()), label
    once = [name for name in names if name not in {"received", "dkim-signature"}]
    assert len(once) == len(set(once)), label
    for name in ("from", "to", "cc", "bcc", "reply-to"):
        if name in names:
            addresses = {each.addr_spec for each in mail[name].addresses}
            assert all(map(is_given, addresses)), (label, name, addresses)
    assert not mail.defects, label
    return mail


def test_files_keep_to_their_parts(attacked: World, ann: Client, far: FarDomain) -> None:
    """Names and types of files: given, of an upload, and of a received mail that is forwarded."""
    octets = base64.b64encode(b"a").decode()
    files = [{"content_base64": octets, "filename": f"f{text}.txt"} for text in HOSTILE]
    files += [
        {"content_base64": octets, "content_type": f"text/plain{text}", "filename": "f"}
        for text in HOSTILE
    ]
    files += [
        {"content_base64": octets, "content_type": f"text/plain; charset=a{text}", "filename": "f"}
        for text in HOSTILE
    ]
    original = attacked.send(
        b"From: =?utf-8?q?Eve=0D=0AX-Evil:_1?= <eve@sender.example>\r\n"
        b"Message-ID: <a@b>X-Evil:1>\r\nReferences: <=?utf-8?q?=0D=0AX-Evil:_1?=@c>\r\n"
        b"Subject: =?utf-8?q?re=0D=0AX-Evil:_1?=\r\nContent-Type: multipart/mixed; boundary=b\r\n"
        b"\r\n--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b\r\n"
        b"Content-Type: text/plain; name*=utf-8''f%0D%0AX-Evil:%201\r\n"
        b"Content-Disposition: attachment; filename*=utf-8''f%0D%0AX-Evil:%201\r\n"
        b"\r\na\r\n--b--\r\n",
        ANN,
    )
    message = eventually(lambda: ann.message_of(original) or ann.message_of(original, "junk"))
    files += [{"message_id": message["id"]}, {"message_id": message["id"], "n": 1}]
    answer = ann.call(
        "POST", "/v1/messages",
        {"to": [CAROL], "subject": "files", "text": "hi", "attachments": files,
         "in_reply_to": message["id"], "headers": {"X-Number": "files"}},
    )  # fmt: skip
    (arrived,) = eventually(lambda: far.with_text(b"X-Number: files"), what="the mail with files")
    for content in (arrived.content, ann.raw("GET", f"/v1/messages/{answer['id']}/raw")):
        mail = check_header(content, "files")
        text, *parts = mail.iter_parts()
        assert text.get_content().splitlines() == ["hi"]
        assert len(parts) == len(files)
        for part in parts:
            assert {name.lower() for name in part.keys()} <= OF_PARTS  # noqa: SIM118  as above
            assert not set("\r\n\0\u2028\u2029\x85\x0b\x0c\x1c") & set(part.get_filename())
