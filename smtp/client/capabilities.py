"""Service extensions that a peer offers in its reply to EHLO (RFC 5321 §4.1.1.1)."""

from collections.abc import Sequence
from dataclasses import dataclass

_KEYWORDS_MAX = 100
_SIZE_MAX_DIGITS = 20  # RFC 1870 §4


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The extensions that this client uses. After HELO there are none, and not `extended`."""

    extended: bool = False
    pipelining: bool = False
    starttls: bool = False
    eight_bit: bool = False
    smtputf8: bool = False
    dsn: bool = False
    size_max_bytes: int | None = None  # None: SIZE is not offered; 0: offered without a limit
    auth: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, lines: Sequence[str]) -> "Capabilities":
        """The extensions in the lines of a reply; the first line is a greeting.

        Lines beyond _KEYWORDS_MAX and malformed values are ignored.
        """
        offered: dict[str, list[str]] = {}
        for line in lines[1 : _KEYWORDS_MAX + 1]:
            keyword, *values = line.upper().replace("AUTH=", "AUTH ", 1).split() or [""]
            offered.setdefault(keyword, []).extend(values)
        return cls(
            extended=True,
            pipelining="PIPELINING" in offered,
            starttls="STARTTLS" in offered,
            eight_bit="8BITMIME" in offered,
            smtputf8="SMTPUTF8" in offered and "8BITMIME" in offered,  # RFC 6531 §3.1, item 8
            dsn="DSN" in offered,
            size_max_bytes=_size(offered["SIZE"]) if "SIZE" in offered else None,
            auth=frozenset(offered.get("AUTH", ())),
        )


def _size(values: Sequence[str]) -> int:
    digits = values[0] if values else "0"
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= _SIZE_MAX_DIGITS
    return int(digits) if is_number else 0


NO_EXTENSIONS = Capabilities()
