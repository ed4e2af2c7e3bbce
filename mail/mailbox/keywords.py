"""Keywords of messages: RFC 8621 §4.1.1 (syntax, case), RFC 9051 §2.3.2 (flags)."""

import re
from collections.abc import Iterable

KEYWORD_MAX_CHARS = 255
KEYWORDS_MAX = 100  # on one message
_KEYWORD = re.compile(r"""[!#$&'+-\[^-z|}~]{1,255}""")  # printable ASCII without ( ) { ] % * " \


def normal_keywords(keywords: Iterable[str]) -> frozenset[str] | None:
    """In lower case, which RFC 8621 makes the one form; None when one of them is no keyword."""
    written = frozenset(keywords)
    if not all(_KEYWORD.fullmatch(keyword) for keyword in written):
        return None
    return frozenset(keyword.lower() for keyword in written)
