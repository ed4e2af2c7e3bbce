"""Times as operators type them."""

import re
from datetime import UTC, datetime

import click

from mail.clock import now_ms

HOUR_MS = 3_600_000
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": HOUR_MS, "d": 24 * HOUR_MS}
_AGE = re.compile(r"([0-9]{1,6})([smhd])", re.ASCII)
_HOUR = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}Z?", re.ASCII)


class _Moment(click.ParamType):
    """`now`, an age (`90s`, `15m`, `2h`, `7d`) or RFC 3339; UTC without an offset."""

    name = "time"

    def convert(self, value: object, param: object, ctx: object) -> int:
        """Return Unix time in milliseconds."""
        del param, ctx
        return value if isinstance(value, int) else moment_ms(str(value))


MOMENT = _Moment()


def moment_ms(text: str) -> int:
    """Return `text` as Unix time in milliseconds. Raises click.BadParameter."""
    if text == "now":
        return now_ms()
    age = _AGE.fullmatch(text)
    if age is not None:
        return now_ms() - int(age[1]) * _UNIT_MS[age[2]]
    try:
        at = datetime.fromisoformat(text.rstrip("Z") + ":00" if _HOUR.fullmatch(text) else text)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        expected = "2026-11-24T10:15, 2026-11-24T10, an age such as 2h, or now"
        raise click.BadParameter(f"{text!r} is no time: {expected}") from None
