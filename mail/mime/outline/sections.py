"""Sections of a mail (RFC 9051 §6.4.5, BODY[section]): their spans in the content, by its outline.

Section numbers address parts as in IMAP: (2, 1) is section 2.1. A mail without parts has one
part, 1. The numbers of an attached mail continue with the parts of that mail.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from schemas.outline import MailOutline, OutlinePart

ATTACHED_MAILS = frozenset({"message/rfc822", "message/global"})  # RFC 2046 §5.2.1, RFC 6532 §3.7
SectionText = Literal["", "HEADER", "TEXT", "MIME"]


class Span(NamedTuple):
    """`size_bytes` octets of the content from `start`."""

    start: int
    size_bytes: int


def children_of(outline: MailOutline) -> list[list[int]]:
    """Return for each part the indexes of its children, in order."""
    children: list[list[int]] = [[] for _ in outline.parts]
    for index, part in enumerate(outline.parts[1:], start=1):
        children[part.parent].append(index)
    return children


def part_at(outline: MailOutline, numbers: Sequence[int]) -> int | None:
    """Return the index of the part with these section numbers; None: there is no such part.

    Without numbers it is the mail itself. Part 1 of a mail without parts has the mail's index.
    """
    children = children_of(outline)
    index, is_mail = 0, True
    for number in numbers:
        if not is_mail and outline.parts[index].content_type in ATTACHED_MAILS and children[index]:
            index, is_mail = children[index][0], True
        if outline.parts[index].content_type.startswith("multipart/"):
            if not 1 <= number <= len(children[index]):
                return None
            index = children[index][number - 1]
        elif not is_mail or number != 1:
            return None
        is_mail = False
    return index


def section_span(
    outline: MailOutline, numbers: Sequence[int] = (), text: SectionText = ""
) -> Span | None:
    """Return the octets of BODY[numbers.text]; None: there is no such section.

    MIME needs numbers. With numbers, HEADER and TEXT exist for attached mails only.
    """
    index = part_at(outline, numbers)
    if index is None or (text == "MIME" and not numbers):
        return None
    part = outline.parts[index]
    if not numbers and not text:
        return Span(0, outline.size_bytes)
    if numbers and text in {"HEADER", "TEXT"}:
        attached = children_of(outline)[index]
        if part.content_type not in ATTACHED_MAILS or not attached:
            return None
        part = outline.parts[attached[0]]
    return _header(part) if text in {"HEADER", "MIME"} else Span(part.body_start, part.size_bytes)


def _header(part: OutlinePart) -> Span:
    return Span(part.header_start, part.body_start - part.header_start)
