"""Outline of a mail: its envelope fields, and its parts with their offsets into the content.

Enough for ENVELOPE, BODYSTRUCTURE and BODY[section] (RFC 9051 §7.5.2, §6.4.5) and for bodyStructure
(RFC 8621 §4.1.4) without reading the content. Rows are msgpack arrays: a new field is added at the
end of its struct and has a default. Outlines have no cycles, so the garbage collector skips them.
"""

from typing import Literal

import msgspec


class OutlineAddress(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An entry of an address list (RFC 5322 §3.4): a mailbox, or the start or end of a group.

    The start of a group has the name of the group; the end has no name.
    """

    name: str  # decoded
    address: str  # addr-spec; "" in malformed lists
    sent_name: str = ""  # with the encoded words as sent; "": the same as `name`
    route: str = ""  # obsolete source route (RFC 5322 §4.4): @a,@b
    group: Literal["", "start", "end"] = ""


class OutlineField(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A header field: the octets of its value as sent, unfolded, 8-bit octets included."""

    name: str  # lower case
    value: bytes


class OutlineEnvelope(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The envelope fields of a mail or of an attached mail, raw and decoded.

    Date, Subject, From, Sender, Reply-To, To, Cc, Bcc, In-Reply-To, Message-ID; repeated fields are
    kept. `addresses` and `ids` have a key (a field name in lower case) for each field present; the
    entries of repeated fields are joined. `cut`: something is missing, so read the header.
    """

    fields: tuple[OutlineField, ...] = ()  # in the order of the header
    subject: str = ""
    sent_at_ms: int | None = None  # Date; None if missing or invalid
    sent_zone_min: int | None = None  # offset of Date from UTC; None if unknown (-0000)
    addresses: dict[str, tuple[OutlineAddress, ...]] = {}
    ids: dict[str, tuple[str, ...]] = {}  # message-id and in-reply-to, without angle brackets
    cut: bool = False


class OutlinePart(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A MIME part (RFC 2045), or the header and body of a mail or of an attached mail.

    The header is content[header_start:body_start], with the empty line that ends it; the body is
    content[body_start:body_start + size_bytes], as encoded. A multipart has children. An attached
    mail (message/rfc822, message/global) has one child, which has its `envelope`; without a child
    the attached mail is itself encoded, or beyond a limit. Values are octets as sent, b"" if the
    field is missing; parameters are the pieces as sent (RFC 2231 not decoded), with names in lower
    case.
    """

    parent: int  # index in MailOutline.parts; -1: the mail itself
    header_start: int
    body_start: int
    size_bytes: int  # of the encoded body
    lines: int  # line feeds in the encoded body
    content_type: str  # type/subtype, lower case, with the defaults of RFC 2045 §5.2
    parameters: tuple[tuple[str, bytes], ...] = ()
    encoding: str = ""  # Content-Transfer-Encoding, lower case
    disposition: str = ""  # lower case
    disposition_parameters: tuple[tuple[str, bytes], ...] = ()
    content_id: bytes = b""
    description: bytes = b""
    md5: bytes = b""
    language: bytes = b""
    location: bytes = b""
    filename: str = ""  # decoded: of Content-Disposition or Content-Type
    envelope: OutlineEnvelope | None = None  # of the mail or attached mail that begins here
    cut: bool = False  # a value was cut: read the header


class MailOutline(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The outline of one mail. `parts[0]` is the mail itself; parts are breadth first, in order.

    Not `complete`: parts beyond a limit are missing.
    """

    size_bytes: int  # of the content
    parts: tuple[OutlinePart, ...]
    complete: bool = True
