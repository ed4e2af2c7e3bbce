"""Parsers of the values in a search: dates, ages, sizes and time zone names."""

import calendar
import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from mail.clock import DAY_MS
from mail.errors import Refused

ZONE_MAX_CHARS = 64
SIZE_MAX_BYTES = 1 << 62  # larger sizes are cut to this: no mail is as large
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
    """Return the time zone of an IANA name such as Europe/Berlin.

    Raises Refused: there is no time zone of that name.
    """
    if len(name) <= ZONE_MAX_CHARS and _ZONE.fullmatch(name):
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):  # OSError: the name of a folder of zones
            pass
    raise Refused("a time zone has a name of the IANA list, such as Europe/Berlin")


def moment_ms(text: str, zone: tzinfo) -> int | None:
    """Return a moment as Unix milliseconds; None if `text` is not a date or moment.

    A year, month or day means its first moment in `zone`. Text in the format of RFC 3339 means that
    moment. A day without a midnight, because clocks are put forward, begins at that change.
    """
    try:
        if date := _DATE.fullmatch(text):
            year, month, day = (int(date[n] or 1) for n in (1, 3, 4))
            return _ms(datetime(year, month, day, tzinfo=zone))
        if moment := _MOMENT.fullmatch(text):
            whole_s = datetime.fromisoformat(f"{moment[1]}{moment[3]}".upper())
            return _ms(whole_s) + int((moment[2] or "0").ljust(3, "0"))
    except (ValueError, OverflowError):
        return None
    return None


def day_number(text: str) -> int | None:
    """Return the number of a day from 1970-01-01, of a date as in `moment_ms`; else None."""
    at_ms = moment_ms(text, UTC) if _DATE.fullmatch(text) else None
    return None if at_ms is None else at_ms // DAY_MS


def age_ms(text: str, now_ms: int, zone: tzinfo) -> int | None:
    """Return the Unix milliseconds of `7d`, `2w`, `3m` or `1y` before now, else None.

    Ages are counted by the calendar of `zone`.
    """
    age = _AGE.fullmatch(text)
    if not age:
        return None
    number, unit = int(age[1]), age[2].lower()
    now = (_EPOCH + timedelta(milliseconds=now_ms)).astimezone(zone)
    try:
        if unit in "dw":
            return _ms(now - timedelta(days=number * (7 if unit == "w" else 1)))
        return _ms(_months_before(now, number * (12 if unit == "y" else 1)))
    except (ValueError, OverflowError):
        return None


def size_bytes(text: str) -> int | None:
    """Return the octets of `5000`, `20K`, `1.5MB` or `2G`, where K is 1024; else None."""
    number = _SIZE.fullmatch(text)
    if not number:
        return None
    fraction = number[2] or ""
    unit: int = _UNITS[number[3].lower()]
    size = int(number[1]) * unit + int(f"{fraction}000000"[:6]) * unit // 1_000_000
    return min(size, SIZE_MAX_BYTES)


def _months_before(now: datetime, months: int) -> datetime:
    """Return the same day and time of an earlier month, or its last day in a shorter month."""
    year, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    day = min(now.day, calendar.monthrange(year, month + 1)[1])
    return now.replace(year=year, month=month + 1, day=day)


def _ms(moment: datetime) -> int:
    at_ms: int = (moment.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
    return at_ms
