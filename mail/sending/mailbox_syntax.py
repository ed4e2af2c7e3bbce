"""Strict parser of mailbox lists (RFC 5322 §3.4, RFC 6532): the senders that a mail names.

Programs that show a mail disagree about addresses in a broken field, so a sender could name an
address of another user there. Groups, obsolete syntax and empty elements are refused. Linear time.
"""

import re
from collections.abc import Iterable, Iterator

from mail.sending.sendable_content import NotSendable

ADDRESSES_MAX = 100  # of one field

_TOKEN = re.compile(
    r"""(?P<space>[ \t]+)
    | (?P<comment>\((?:[^()\\\x00-\x1f\x7f\u2028\u2029]|\\[ -~])*+\))
    | (?P<quoted>"(?:[^"\\\x00-\x1f\x7f\u2028\u2029]|\\[ -~])*+")
    | (?P<atom>[A-Za-z0-9!\#$%&'*+/=?^_`{|}~.\u00a0-\u2027\u202a-\U0010ffff-]+)
    | (?P<literal>\[[^\[\]\\\x00-\x20\x7f]*\])
    | (?P<special>[<>@,])""",
    re.VERBOSE,
)
_WORDS = ("atom", "quoted")
_BLANK = ("space", "comment")
_Token = tuple[str, str]  # kind (of a special character: itself) and text


def mailboxes(field: str, value: bytes) -> list[str]:
    """The addresses of an unfolded field of mailboxes, one at least. Raises NotSendable."""
    try:
        tokens = list(_tokens(value.decode()))
    except UnicodeDecodeError:
        raise NotSendable(f"{field} is not UTF-8") from None
    addresses = [_address(field, element) for element in _elements(tokens)]
    if len(addresses) > ADDRESSES_MAX:
        raise NotSendable(f"{field} has more than {ADDRESSES_MAX} addresses")
    return addresses


def _tokens(text: str) -> Iterator[_Token]:
    """The tokens; the kind `bad` for what is no token."""
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            yield "bad", text[position]
            return
        kind = match.lastgroup or ""
        yield (match[0] if kind == "special" else kind), match[0]
        position = match.end()


def _elements(tokens: Iterable[_Token]) -> list[list[_Token]]:
    """The tokens between commas."""
    elements: list[list[_Token]] = [[]]
    for kind, text in tokens:
        if kind == ",":
            elements.append([])
        else:
            elements[-1].append((kind, text))
    return elements


def _address(field: str, tokens: list[_Token]) -> str:
    """The address of `local@domain` or `phrase <local@domain>`, without spaces and comments in it.

    Raises NotSendable.
    """
    kinds = [kind for kind, _ in tokens]
    tokens = tokens[: len(tokens) - _blanks(kinds[::-1])]
    kinds = kinds[: len(tokens)]
    start = kinds.index("<") + 1 if "<" in kinds else _blanks(kinds)
    if not all(kind in (*_WORDS, *_BLANK) for kind in kinds[: max(start - 1, 0)]):
        raise _fault(field)
    if "<" in kinds and kinds[-1] != ">":
        raise _fault(field)
    address = tokens[start:-1] if "<" in kinds else tokens[start:]
    match [kind for kind, _ in address]:
        case ["atom" | "quoted", "@", "atom" | "literal"]:
            pass
        case _:
            raise _fault(field)
    if not all(all(text.split(".")) for kind, text in address if kind == "atom"):
        raise _fault(field)  # dots are between atoms (dot-atom, RFC 5322 §3.2.3)
    return "".join(text for _, text in address)


def _blanks(kinds: list[str]) -> int:
    """The number of spaces and comments at the start."""
    return next((index for index, kind in enumerate(kinds) if kind not in _BLANK), len(kinds))


def _fault(field: str) -> NotSendable:
    return NotSendable(f"{field} is not a list of mailboxes (RFC 5322 section 3.4)")
