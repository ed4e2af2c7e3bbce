"""Message keywords: syntax and case of RFC 8621 §4.1.1, flags of RFC 9051 §2.3.2."""

import re
from collections.abc import Iterable

KEYWORD_MAX_CHARS = 255
KEYWORDS_MAX = 100  # on one message
_KEYWORD = re.compile(r"""[!#$&'+-\[^-z|}~]{1,255}""")  # printable ASCII without ( ) { ] % * " \


def normal_keywords(keywords: Iterable[str]) -> frozenset[str] | None:
    """The keywords in lower case, as RFC 8621 requires; None if one of them is invalid."""
    given = frozenset(keywords)
    if not all(_KEYWORD.fullmatch(keyword) for keyword in given):
        return None
    return frozenset(keyword.lower() for keyword in given)
