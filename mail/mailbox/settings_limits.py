"""Choices and limits of a user's settings.

The mailbox's writer refuses a value beyond them; the edge checks the same before it publishes. What
depends on other data is checked by the edge alone, since the writer must decide the same at any
time: time zones and the user's addresses. The edge also sanitises HTML.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from mail.addresses import normal_address
from mail.errors import BadAddress
from mail.mailbox.keywords import normal_keywords
from mail.mailbox.user_settings import values_of
from mail.query.tree import QUERY_MAX_CHARS
from schemas.user_settings import (
    ACTIONS,
    ACTIONS_WITH_VALUE,
    CHOICES,
    COLOURS,
    RULE_MATCHES,
    SIZE_COMPARISONS,
    SIZE_FIELD,
    TEXT_COMPARISONS,
    TEXT_FIELDS,
    DeliveryRule,
    Label,
    RuleAction,
    RuleCondition,
    SavedSearch,
    SenderIdentity,
    SettingsPatch,
    UserSettings,
    Vacation,
)

SETTINGS_MAX_BYTES = 64 * 1024  # all settings of a user, encoded
DELAY_MAX_S = 60  # mark_read_after_s, undo_send_s
ID_MAX_CHARS = 64
NAME_MAX_CHARS = 64  # of labels, searches, rules
SENDER_NAME_MAX_CHARS = 128
SUBJECT_MAX_CHARS = 255
VALUE_MAX_CHARS = 255  # of a rule's condition or action
HTML_MAX_CHARS = 16 * 1024  # of a signature or a reply, text likewise
IMAGE_SENDERS_MAX = 500
LABELS_MAX = 100
SEARCHES_MAX = 100
IDENTITIES_MAX = 20
RULES_MAX = 100
CONDITIONS_MAX = 10  # of one rule, actions likewise

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,4}")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")
_ZONE_MAX_CHARS = 64
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DIGITS = re.compile(r"[0-9]{1,15}")
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"
_MOMENT_CHARS = 20


class SettingsFault(msgspec.Struct, frozen=True):
    """A value that cannot be stored: its JSON path, and what is required there."""

    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


_Faults = Iterator[SettingsFault]


def fault_in(patch: SettingsPatch) -> SettingsFault | None:
    """The first fault in the values of `patch`."""
    for name, value in values_of(patch).items():
        for fault in _CHECKS[name](f"$.{name}", value):
            return fault
    return None


def size_fault(settings: UserSettings) -> SettingsFault | None:
    """The fault of settings that are too large together."""
    if len(msgspec.msgpack.encode(settings)) <= SETTINGS_MAX_BYTES:
        return None
    return SettingsFault("$", f"All settings together have at most {SETTINGS_MAX_BYTES} bytes.")


def _choice(place: str, value: str, choices: Sequence[str]) -> _Faults:
    if value not in choices:
        yield SettingsFault(place, f"One of: {', '.join(choices)}.")


def _line(place: str, value: str, most: int, *, least: int = 0) -> _Faults:
    if not least <= len(value) <= most or _CONTROL.search(value):
        yield SettingsFault(place, f"{least} to {most} characters without control characters.")


def _text(place: str, value: str) -> _Faults:
    if len(value) > HTML_MAX_CHARS:
        yield SettingsFault(place, f"At most {HTML_MAX_CHARS} characters.")


def _delay(place: str, value: int | None) -> _Faults:
    if value is not None and not 0 <= value <= DELAY_MAX_S:
        yield SettingsFault(place, f"0 to {DELAY_MAX_S} seconds.")


def _language(place: str, value: str) -> _Faults:
    if value and not _LANGUAGE.fullmatch(value):
        yield SettingsFault(place, "A language tag such as ko or pt-BR.")


def _zone(place: str, value: str) -> _Faults:
    if value and not (len(value) <= _ZONE_MAX_CHARS and _ZONE.fullmatch(value)):
        yield SettingsFault(place, "A time zone such as Asia/Seoul.")


def _address(place: str, value: str) -> _Faults:
    try:
        normal_address(value)
    except BadAddress as error:
        yield SettingsFault(place, f"An address: {error}.")


def _keyword(place: str, value: str) -> _Faults:
    if value not in (normal_keywords([value]) or ()):
        yield SettingsFault(place, "A keyword in lower case.")


def _many(
    place: str, values: Sequence[Any], most: int, check: Callable[[str, Any], _Faults]
) -> _Faults:
    if len(values) > most:
        yield SettingsFault(place, f"At most {most}.")
    for number, value in enumerate(values):
        yield from check(f"{place}[{number}]", value)


def _distinct(place: str, keys: Iterable[str], name: str) -> _Faults:
    known: set[str] = set()
    for number, key in enumerate(keys):
        if key in known:
            yield SettingsFault(f"{place}[{number}].{name}", "It is there already.")
        known.add(key)


def _labels(place: str, labels: Sequence[Label]) -> _Faults:
    yield from _many(place, labels, LABELS_MAX, _label)
    yield from _distinct(place, (label.keyword for label in labels), "keyword")


def _label(place: str, label: Label) -> _Faults:
    yield from _keyword(f"{place}.keyword", label.keyword)
    yield from _line(f"{place}.name", label.name, NAME_MAX_CHARS, least=1)
    yield from _choice(f"{place}.colour", label.colour, COLOURS)


def _searches(place: str, searches: Sequence[SavedSearch]) -> _Faults:
    yield from _many(place, searches, SEARCHES_MAX, _search)
    yield from _distinct(place, (search.name for search in searches), "name")


def _search(place: str, search: SavedSearch) -> _Faults:
    yield from _line(f"{place}.name", search.name, NAME_MAX_CHARS, least=1)
    yield from _line(f"{place}.q", search.q, QUERY_MAX_CHARS, least=1)


def _identities(place: str, identities: Sequence[SenderIdentity]) -> _Faults:
    yield from _many(place, identities, IDENTITIES_MAX, _identity)
    yield from _distinct(place, (identity.id for identity in identities), "id")
    if identities and sum(identity.is_default for identity in identities) != 1:
        yield SettingsFault(place, "One of them is the default.")


def _identity(place: str, identity: SenderIdentity) -> _Faults:
    yield from _line(f"{place}.id", identity.id, ID_MAX_CHARS, least=1)
    yield from _line(f"{place}.name", identity.name, SENDER_NAME_MAX_CHARS)
    yield from _address(f"{place}.address", identity.address)
    if identity.reply_to is not None:
        yield from _address(f"{place}.reply_to", identity.reply_to)
    yield from _text(f"{place}.signature_html", identity.signature_html)
    yield from _text(f"{place}.signature_text", identity.signature_text)


def _rules(place: str, rules: Sequence[DeliveryRule]) -> _Faults:
    yield from _many(place, rules, RULES_MAX, _rule)
    yield from _distinct(place, (rule.id for rule in rules), "id")


def _rule(place: str, rule: DeliveryRule) -> _Faults:
    yield from _line(f"{place}.id", rule.id, ID_MAX_CHARS, least=1)
    yield from _line(f"{place}.name", rule.name, NAME_MAX_CHARS)
    yield from _choice(f"{place}.match", rule.match, RULE_MATCHES)
    for name in ("conditions", "actions"):
        if not getattr(rule, name):
            yield SettingsFault(f"{place}.{name}", "At least one.")
    yield from _many(f"{place}.conditions", rule.conditions, CONDITIONS_MAX, _condition)
    yield from _many(f"{place}.actions", rule.actions, CONDITIONS_MAX, _action)


def _condition(place: str, condition: RuleCondition) -> _Faults:
    yield from _choice(f"{place}.field", condition.field, (*TEXT_FIELDS, SIZE_FIELD))
    if condition.field == SIZE_FIELD:
        yield from _choice(f"{place}.comparison", condition.comparison, SIZE_COMPARISONS)
        if not _DIGITS.fullmatch(condition.value):
            yield SettingsFault(f"{place}.value", "A number of bytes, up to 15 digits.")
        return
    yield from _choice(f"{place}.comparison", condition.comparison, TEXT_COMPARISONS)
    yield from _line(f"{place}.value", condition.value, VALUE_MAX_CHARS, least=1)


def _action(place: str, action: RuleAction) -> _Faults:
    yield from _choice(f"{place}.action", action.action, ACTIONS)
    if action.action == "add_keyword":
        yield from _keyword(f"{place}.value", action.value)
    least = int(action.action in ACTIONS_WITH_VALUE)
    yield from _line(f"{place}.value", action.value, least * VALUE_MAX_CHARS, least=least)


def _vacation(place: str, vacation: Vacation) -> _Faults:
    for name in ("from_date", "to_date"):
        if not _is_moment(getattr(vacation, name)):
            yield SettingsFault(f"{place}.{name}", "A moment such as 2026-11-24T00:00:00Z.")
    if vacation.from_date and vacation.to_date and vacation.from_date >= vacation.to_date:
        yield SettingsFault(f"{place}.to_date", "It is after from_date.")
    yield from _line(f"{place}.subject", vacation.subject, SUBJECT_MAX_CHARS)
    yield from _text(f"{place}.text", vacation.text)
    yield from _text(f"{place}.html", vacation.html)


def _is_moment(value: str | None) -> bool:
    try:
        return value is None or (
            len(value) == _MOMENT_CHARS and bool(datetime.strptime(value, _MOMENT))  # noqa: DTZ007
        )
    except ValueError:
        return False


def _anything(_place: str, _value: bool) -> _Faults:  # noqa: FBT001  (called by position)
    yield from ()


def _preference(name: str) -> Callable[[str, Any], _Faults]:
    return lambda place, value: _choice(place, value, CHOICES[name])


_CHECKS: dict[str, Callable[[str, Any], _Faults]] = {
    **dict.fromkeys(("conversations", "single_keys", "plain_text"), _anything),
    **{name: _preference(name) for name in CHOICES},
    "language": _language,
    "zone": _zone,
    "mark_read_after_s": _delay,
    "undo_send_s": _delay,
    "image_senders": lambda place, values: _many(place, values, IMAGE_SENDERS_MAX, _address),
    "labels": _labels,
    "saved_searches": _searches,
    "identities": _identities,
    "rules": _rules,
    "vacation": _vacation,
}
