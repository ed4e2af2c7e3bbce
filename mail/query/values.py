"""What stands behind `before:`, `older_than:`, `larger:` and `tz=`, read."""

import calendar
import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from mail.errors import Refused

ZONE_MAX_CHARS = 64
SIZE_MAX_BYTES = 1 << 62  # what is said to be larger is as large: no mail is
_DATE = re.compile(r"(\d{4})(?:([-/.])(\d{1,2})(?:\2(\d{1,2}))?)?", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,3})\d*)?(Z|[+-]\d\d:\d\d)",
    re.ASCII | re.IGNORECASE,
)
_AGE = re.compile(r"(\d{1,5})([dwmy])", re.ASCII | re.IGNORECASE)
_SIZE = re.compile(r"(\d{1,15})(?:\.(\d{1,6}))?([kmg]?)(?:i?b)?", re.ASCII | re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def zone_of(name: str) -> tzinfo:
    """The zone of an IANA name such as Europe/Berlin. Refused: there is none of that name."""
    if len(name) <= ZONE_MAX_CHARS and _ZONE.fullmatch(name):
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):  # OSError: a folder of zones
            pass
    raise Refused("a time zone has a name of the IANA list, such as Europe/Berlin")


def moment_ms(text: str, zone: tzinfo) -> int | None:
    """A year, month or day: its first moment in `zone`. Or a moment of RFC 3339. None: neither.

    Where a day has no midnight, clocks being put forward then, it begins when they are.
    """
    try:
        if found := _DATE.fullmatch(text):
            year, month, day = (int(found[n] or 1) for n in (1, 3, 4))
            return _ms(datetime(year, month, day, tzinfo=zone))
        if found := _MOMENT.fullmatch(text):
            whole_s = datetime.fromisoformat(f"{found[1]}{found[3]}".upper())
            return _ms(whole_s) + int((found[2] or "0").ljust(3, "0"))
    except (ValueError, OverflowError):
        return None
    return None


def age_ms(text: str, now_ms: int, zone: tzinfo) -> int | None:
    """The moment that is `7d`, `2w`, `3m` or `1y` before now, by the calendar of `zone`."""
    found = _AGE.fullmatch(text)
    if not found:
        return None
    number, unit = int(found[1]), found[2].lower()
    now = (_EPOCH + timedelta(milliseconds=now_ms)).astimezone(zone)
    try:
        if unit in "dw":
            return _ms(now - timedelta(days=number * (7 if unit == "w" else 1)))
        return _ms(_months_before(now, number * (12 if unit == "y" else 1)))
    except (ValueError, OverflowError):
        return None


def size_bytes(text: str) -> int | None:
    """`5000`, `20K`, `1.5MB`, `2G`: octets, K being 1024. None: nothing of the kind."""
    found = _SIZE.fullmatch(text)
    if not found:
        return None
    fraction = found[2] or ""
    unit: int = _UNITS[found[3].lower()]
    size = int(found[1]) * unit + int(f"{fraction}000000"[:6]) * unit // 1_000_000
    return min(size, SIZE_MAX_BYTES)


def _months_before(now: datetime, months: int) -> datetime:
    """The same day and time of an earlier month, or its last day when it is shorter."""
    year, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    day = min(now.day, calendar.monthrange(year, month + 1)[1])
    return now.replace(year=year, month=month + 1, day=day)


def _ms(moment: datetime) -> int:
    at_ms: int = (moment.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
    return at_ms
