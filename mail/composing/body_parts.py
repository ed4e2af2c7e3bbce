"""MIME parts of an outgoing mail, in 7-bit lines (RFC 2045, RFC 2046).

Every line has at most 998 octets, and texts at most 76 but for short lines sent as they are. A
mail may pass servers without 8BITMIME unchanged.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mail.composing.header_fields import folded, parameterized_field
from mail.mime.parameters import parse_parameterized_field

CRLF = b"\r\n"
LINE_MAX = 998  # RFC 5322 §2.1.1
TEXT_LINE_MAX = 76
OCTET_STREAM = "application/octet-stream"
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}")
_TOKEN = re.compile(r"[A-Za-z0-9._:+-]{1,40}")
_KEPT_PARAMETERS = ("charset", "method")  # method: of text/calendar (RFC 6047 §2.4)
# A line that begins with `From ` would be changed by programs that keep mail in mbox files.
_FROM_LINE = re.compile(rb"^From ", re.MULTILINE)
_PLAIN_LINES = re.compile(rb"(?:(?!From )[ -~\t]{0,75}[!-~]\r\n|\r\n)*+")
_FOREIGN = bytes(range(0x80, 0x100))
_ATTACHED_LINES = re.compile(rb"(?:[\x01-\x09\x0b\x0c\x0e-\x7f]{0,998}\r\n)*+")


@dataclass(slots=True, kw_only=True)
class BodyPart:
    """A leaf with its `body`, or a multipart of `children`; `fields` end in CR LF."""

    content_type: str
    parameters: tuple[tuple[str, str], ...] = ()
    fields: list[bytes] = field(default_factory=list)
    body: bytes = b""
    children: Sequence["BodyPart"] = ()


def text_part(text: str, subtype: str) -> BodyPart:
    r"""Return a text part; lines of `text` end with \n. As it is, quoted-printable or base64."""
    octets = text.encode().replace(b"\n", CRLF)
    if not octets.endswith(CRLF):
        octets += CRLF
    encoding, body = _encoded_text(octets)
    return BodyPart(
        content_type=f"text/{subtype}",
        parameters=(("charset", "utf-8"),),
        fields=[folded("Content-Transfer-Encoding", [encoding])],
        body=body,
    )


def file_part(
    content: bytes, content_type: str, *, filename: str, inline: bool, content_id: str = ""
) -> BodyPart:
    """Return an attachment. `content_type` may have parameters; if invalid, octets."""
    kind, parameters = _known_type(content_type)
    encoding, body = "base64", _base64(content)
    if kind.startswith("message/"):  # no encoding is permitted (RFC 2046 §5.2.1)
        if _ATTACHED_LINES.fullmatch(content):
            encoding, body = "7bit", content
        else:
            kind = OCTET_STREAM
    disposition = "inline" if inline else "attachment"
    named = (("filename", filename),) if filename else ()
    fields = [
        folded("Content-Transfer-Encoding", [encoding]),
        parameterized_field("Content-Disposition", disposition, named),
    ]
    if content_id:
        fields.append(folded("Content-ID", [f"<{content_id}>"]))
    return BodyPart(content_type=kind, parameters=parameters, fields=fields, body=body)


def multipart(subtype: str, children: Iterable[BodyPart]) -> BodyPart:
    """Return a multipart; the only child itself if there is one."""
    parts = tuple(children)
    if len(parts) == 1:
        return parts[0]
    parameters: tuple[tuple[str, str], ...] = ()
    if subtype == "related":
        parameters = (("type", parts[0].content_type),)  # RFC 2387 §3.1
    return BodyPart(content_type=f"multipart/{subtype}", parameters=parameters, children=parts)


def written_part(part: BodyPart, *, seed: str) -> Iterator[bytes]:
    """Iterate over the octets of a part, its fields first. The same `seed`: the same boundaries."""
    if not part.children:
        yield parameterized_field("Content-Type", part.content_type, part.parameters)
        yield from (*part.fields, CRLF, part.body)
        return
    boundary = _boundary(part, seed)
    parameters = (*part.parameters, ("boundary", boundary))
    yield parameterized_field("Content-Type", part.content_type, parameters)
    yield CRLF
    for number, child in enumerate(part.children):
        yield f"--{boundary}\r\n".encode()
        yield from written_part(child, seed=f"{seed}.{number}")
        yield CRLF
    yield f"--{boundary}--\r\n".encode()


def _boundary(part: BodyPart, seed: str) -> str:
    """Return a delimiter that no leaf contains; `=_` cannot occur in an encoded body."""
    plain = [leaf.body for leaf in _leaves(part)]
    number = 0
    while True:
        digest = hashlib.sha256(f"{seed}/{number}".encode()).hexdigest()[:24]
        boundary = f"=_{digest}"
        if not any(boundary.encode() in body for body in plain):
            return boundary
        number += 1


def _leaves(part: BodyPart) -> Iterator[BodyPart]:
    if not part.children:
        yield part
    for child in part.children:
        yield from _leaves(child)


def _encoded_text(octets: bytes) -> tuple[str, bytes]:
    if _PLAIN_LINES.fullmatch(octets):
        return "7bit", octets
    foreign = len(octets) - len(octets.translate(None, _FOREIGN))
    if 6 * foreign > len(octets):  # an octet above 127 takes three, against four thirds of all
        return "base64", _base64(octets)
    encoded = binascii.b2a_qp(octets, quotetabs=False, istext=True, header=False)
    return "quoted-printable", _FROM_LINE.sub(b"From=\r\n ", encoded)


def _base64(content: bytes) -> bytes:
    return base64.encodebytes(content).replace(b"\n", CRLF)


def _known_type(content_type: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the type and its known parameters; a multipart or malformed type is octets."""
    parsed = parse_parameterized_field(content_type)
    kind = parsed.value
    if not _TYPE.fullmatch(kind) or kind.startswith("multipart/"):
        return OCTET_STREAM, ()
    if not kind.startswith("text/"):
        return kind, ()
    known = ((name, parsed.parameters.get(name, "")) for name in _KEPT_PARAMETERS)
    return kind, tuple((name, value) for name, value in known if _TOKEN.fullmatch(value))
