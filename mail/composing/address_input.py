"""Parser of one address as a user writes it: `bob@example.org` or `Bob <bob@example.org>`.

Strict, unlike the parser of received mail: an address that is misread reaches the wrong person.
A comma is allowed in a name without quotes, since people write `Doe, Jane <jane@example.org>`.
"""

import re

from mail.addresses import split_address
from mail.errors import BadAddress
from schemas.mail import EmailAddress

INPUT_MAX_CHARS = 1_000
NAME_MAX_CHARS = 200
# Characters that end a line somewhere, and halves of surrogate pairs, which have no octets.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_WITH_NAME = re.compile(rf'({_QUOTED}|[^"<>]*+) ?<((?:{_QUOTED}|[^"<>])*+)>')
_ESCAPED = re.compile(r"\\(.)")
_ENCODED_WORD = re.compile(r"=\?[^?\s]*+\?[bq]\?", re.IGNORECASE)  # its start


def parse_address(text: str) -> EmailAddress:
    """Return the name and address in `text`; the name is "" if there is none.

    Raises BadAddress: not exactly one address, a group, or beyond a limit.
    """
    if len(text) > INPUT_MAX_CHARS:
        raise BadAddress(f"an address with its name has at most {INPUT_MAX_CHARS} characters")
    if CONTROL.search(text):
        raise BadAddress("an address has no line ends or control characters")
    text = " ".join(text.split())
    if text.endswith(";"):
        raise BadAddress("groups are not accepted: give each address of the group")
    with_name = _WITH_NAME.fullmatch(text)
    if with_name is None:
        _check_bare(text)
        return checked_address("", text)
    return checked_address(_name(with_name[1].strip()), with_name[2].strip())


def checked_address(name: str, address: str) -> EmailAddress:
    """Return the address with its name, runs of white space collapsed.

    Raises BadAddress: not an address, one with an encoded word, which lenient readers decode to
    other text, or a name with control characters or beyond the limit.
    """
    if CONTROL.search(name) or CONTROL.search(address):
        raise BadAddress("an address has no line ends or control characters")
    name = " ".join(name.split())
    if len(name) > NAME_MAX_CHARS:
        raise BadAddress(f"a name has at most {NAME_MAX_CHARS} characters")
    split_address(address)
    if _ENCODED_WORD.search(address):
        raise BadAddress("an address has no encoded words (RFC 2047 section 5)")
    return EmailAddress(name, address)


def _name(written: str) -> str:
    if written.startswith('"'):
        return _ESCAPED.sub(r"\1", written[1:-1])
    if ":" in written:
        raise BadAddress("groups are not accepted; a name with a colon is written in quotes")
    return written


def _check_bare(text: str) -> None:
    if not text:
        raise BadAddress("an address is missing")
    if "<" in text or ">" in text:
        raise BadAddress("write a name and an address as: Bob <bob@example.org>")
    if not text.startswith('"') and ("," in text or ";" in text):
        raise BadAddress("one address in each entry, without commas")
