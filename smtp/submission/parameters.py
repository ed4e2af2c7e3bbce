"""Parameters of MAIL and RCPT for a submission: DSN (RFC 3461), FUTURERELEASE (RFC 4865); pure.

SIZE, BODY, SMTPUTF8 and AUTH are those of smtp/server/command_syntax.py.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from mail.sending import xtext
from schemas.submissions import Notify, Returned
from smtp.server.command_syntax import LINE_EXTRA_BYTES, mail_parameters
from smtp.server.replies import Rejection

ENVID_MAX_CHARS = 100  # RFC 3461 §4.4
ORCPT_MAX_CHARS = 500  # RFC 3461 §4.2
SUBMISSION_LINE_EXTRA_BYTES: Mapping[str, int] = {
    "MAIL": LINE_EXTRA_BYTES["MAIL"] + 115 + 34,  # RFC 3461 §4 and RFC 4865 §4
    "RCPT": LINE_EXTRA_BYTES["RCPT"] + 28 + 6 + ORCPT_MAX_CHARS,
    "AUTH": 12_288,  # RFC 4954 §4
}
_OWN = frozenset({"RET", "ENVID", "HOLDFOR", "HOLDUNTIL"})
_RETURNED: Mapping[str, Returned] = {"FULL": "full", "HDRS": "headers"}
_NOTIFY: Mapping[str, Notify] = {"SUCCESS": "success", "FAILURE": "failure", "DELAY": "delay"}
_PRINTABLE = re.compile(r"[ -~]+")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SECONDS = re.compile(r"[0-9]{1,9}")
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z", re.ASCII)  # RFC 3339


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionParameters:
    """The parameters of MAIL."""

    size_bytes: int = 0  # 0: not declared
    utf8: bool = False
    returned: Returned = ""
    envelope_id: str = ""
    fire_at_ms: int = 0  # 0: at once


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientParameters:
    """The parameters of RCPT."""

    notify: tuple[Notify, ...] = ()
    original: str = ""


def of_mail(given: dict[str, str | None], *, now_ms: int, hold_max_s: int) -> SubmissionParameters:
    """The parameters of MAIL. Raises Rejection."""
    own = {name: value for name, value in given.items() if name in _OWN}
    plain = mail_parameters({name: given[name] for name in given if name not in _OWN})
    return SubmissionParameters(
        size_bytes=plain.size_bytes or 0,
        utf8=plain.utf8,
        returned=_returned(own["RET"]) if "RET" in own else "",
        envelope_id=_envelope_id(own["ENVID"] or "") if "ENVID" in own else "",
        fire_at_ms=_fire_at_ms(own, now_ms=now_ms, hold_max_s=hold_max_s),
    )


def of_recipient(given: dict[str, str | None]) -> RecipientParameters:
    """The parameters of RCPT. Raises Rejection."""
    if given.keys() - {"NOTIFY", "ORCPT"}:
        raise Rejection("555 5.5.4 parameter not recognized")
    return RecipientParameters(
        notify=_notify(given["NOTIFY"] or "") if "NOTIFY" in given else (),
        original=_original(given["ORCPT"] or "") if "ORCPT" in given else "",
    )


def _returned(value: str | None) -> Returned:
    returned = _RETURNED.get((value or "").upper())
    if returned is None:
        raise Rejection("501 5.5.4 RET is FULL or HDRS")
    return returned


def _envelope_id(value: str) -> str:
    try:
        text = xtext.decode(value[: ENVID_MAX_CHARS + 1])
    except ValueError:
        text = ""
    if len(value) > ENVID_MAX_CHARS or not _PRINTABLE.fullmatch(text):
        raise Rejection(f"501 5.5.4 ENVID is xtext of 1 to {ENVID_MAX_CHARS} characters")
    return text


def _notify(value: str) -> tuple[Notify, ...]:
    words = value.upper().split(",")
    if words == ["NEVER"]:
        return ("never",)
    if len(words) > len(_NOTIFY) or not all(word in _NOTIFY for word in words):
        raise Rejection("501 5.5.4 NOTIFY is NEVER, or a list of SUCCESS, FAILURE and DELAY")
    return tuple(notify for word, notify in _NOTIFY.items() if word in words)


def _original(value: str) -> str:
    try:
        text = xtext.decode_address(value[: ORCPT_MAX_CHARS + 1])
    except (ValueError, OverflowError):
        text = ""
    if len(value) > ORCPT_MAX_CHARS or not text or _CONTROL.search(text):
        raise Rejection(
            f"501 5.5.4 ORCPT is addr-type;xtext of at most {ORCPT_MAX_CHARS} characters"
        )
    return text


def _fire_at_ms(own: Mapping[str, str | None], *, now_ms: int, hold_max_s: int) -> int:
    """When the mail is sent; 0: at once. A time that has passed is at once."""
    if "HOLDFOR" in own and "HOLDUNTIL" in own:
        raise Rejection("501 5.5.4 HOLDFOR or HOLDUNTIL, not both")
    if "HOLDFOR" in own:
        fire_at_ms = now_ms + _seconds(own["HOLDFOR"] or "") * 1000
    elif "HOLDUNTIL" in own:
        fire_at_ms = _moment_ms(own["HOLDUNTIL"] or "")
    else:
        return 0
    if fire_at_ms > now_ms + hold_max_s * 1000:
        raise Rejection(f"501 5.5.4 a mail is held for at most {hold_max_s} seconds")
    return fire_at_ms if fire_at_ms > now_ms else 0


def _seconds(value: str) -> int:
    if not _SECONDS.fullmatch(value):
        raise Rejection("501 5.5.4 HOLDFOR is a number of seconds")
    return int(value)


def _moment_ms(value: str) -> int:
    try:
        if not _DATE_TIME.fullmatch(value):
            raise ValueError  # noqa: TRY301  one reply to both faults
        moment = datetime.fromisoformat(value).astimezone(UTC)
    except ValueError:
        raise Rejection("501 5.5.4 HOLDUNTIL is a time such as 2030-01-31T09:00:00Z") from None
    return int(moment.timestamp() * 1000)
