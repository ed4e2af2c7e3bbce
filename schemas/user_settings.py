"""Settings of one user: preferences, labels, saved searches, identities, rules, vacation.

Values are plain types: a choice that a later version removes must not make a journal unreadable.
Choices and limits are checked before a value is journalled (mail/mailbox/settings_limits.py).
"""

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, UnsetType

CHOICES: Final[dict[str, tuple[str, ...]]] = {  # by preference
    "theme": ("system", "light", "dark"),
    "density": ("comfortable", "compact"),
    "pane": ("right", "bottom", "off"),
    "after_archive": ("next", "previous", "list"),
    "notify": ("all", "inbox", "off"),
    "notify_shows": ("all", "sender", "nothing"),
    "remote_images": ("ask", "senders", "never"),
}
COLOURS: Final = ("grey", "red", "orange", "yellow", "green", "teal", "blue", "purple", "pink")
RULE_MATCHES: Final = ("all", "any")
TEXT_FIELDS: Final = ("from", "to", "cc", "subject", "list_id")
TEXT_COMPARISONS: Final = ("is", "contains", "contains_not", "starts_with", "ends_with")
SIZE_FIELD: Final = "size_bytes"
SIZE_COMPARISONS: Final = ("above", "below")
ACTIONS: Final = ("move", "add_keyword", "mark_read", "flag", "trash")
ACTIONS_WITH_VALUE: Final = ("move", "add_keyword")


def _enum(*values: str) -> msgspec.Meta:
    """Values for the API description; msgspec does not check them."""
    return msgspec.Meta(extra_json_schema={"enum": list(values)})


Theme = Annotated[str, _enum(*CHOICES["theme"])]
Density = Annotated[str, _enum(*CHOICES["density"])]
Pane = Annotated[str, _enum(*CHOICES["pane"])]
AfterArchive = Annotated[str, _enum(*CHOICES["after_archive"])]
Notify = Annotated[str, _enum(*CHOICES["notify"])]
NotifyShows = Annotated[str, _enum(*CHOICES["notify_shows"])]
RemoteImages = Annotated[str, _enum(*CHOICES["remote_images"])]


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """Name and colour under which messages with a keyword are shown."""

    keyword: str  # in lower case, as messages have it
    name: str
    colour: Annotated[str, _enum(*COLOURS)] = "grey"


class SavedSearch(msgspec.Struct, frozen=True, kw_only=True):
    """A search that its owner named."""

    name: str
    q: str


class SenderIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """An address that the user sends from (RFC 8621 §6)."""

    id: str  # made by the sender of the command
    name: str = ""
    address: str  # was an address of the user when it was set
    reply_to: str | None = None
    signature_html: str = ""  # sanitised
    signature_text: str = ""
    signature_above_quote: bool = False
    is_default: bool = False  # of exactly one identity


class RuleCondition(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison of one field of a new message, ignoring case."""

    field: Annotated[str, _enum(*TEXT_FIELDS, SIZE_FIELD)]
    comparison: Annotated[str, _enum(*TEXT_COMPARISONS, *SIZE_COMPARISONS)]
    value: str  # of size_bytes: decimal digits


class RuleAction(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule does with a message."""

    action: Annotated[str, _enum(*ACTIONS)]
    value: str = ""  # of move: a folder id; of add_keyword: a keyword; else ""


class DeliveryRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule for new messages. Rules are stored and not carried out yet."""

    id: str
    name: str = ""
    enabled: bool = True
    match: Annotated[str, _enum(*RULE_MATCHES)] = "all"
    conditions: tuple[RuleCondition, ...]
    actions: tuple[RuleAction, ...]
    stop: bool = False  # no later rule applies to the message


class Vacation(msgspec.Struct, frozen=True, kw_only=True):
    """The reply while its owner is away (RFC 8621 §8). It is stored and not sent yet."""

    enabled: bool = False
    from_date: str | None = None  # UTC, such as 2026-11-24T00:00:00Z; None: since ever
    to_date: str | None = None  # the first moment without replies; None: without end
    subject: str = ""
    text: str = ""
    html: str = ""  # sanitised


class UserSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of a user."""

    language: str = ""  # language tag (RFC 5646); "": as the browser asks
    zone: str = ""  # IANA name; "": as the browser says
    theme: Theme = "system"
    density: Density = "comfortable"
    pane: Pane = "right"
    conversations: bool = True
    mark_read_after_s: int | None = 1  # None: never by itself
    after_archive: AfterArchive = "next"
    single_keys: bool = True
    undo_send_s: int = 10
    plain_text: bool = False
    notify: Notify = "all"
    notify_shows: NotifyShows = "sender"
    remote_images: RemoteImages = "ask"
    image_senders: tuple[str, ...] = ()  # addresses whose images are shown
    labels: tuple[Label, ...] = ()
    saved_searches: tuple[SavedSearch, ...] = ()
    identities: tuple[SenderIdentity, ...] = ()  # (): the account's address alone
    rules: tuple[DeliveryRule, ...] = ()  # in the order in which they apply
    vacation: Vacation = Vacation()


class SettingsPatch(msgspec.Struct, frozen=True, kw_only=True):
    """New values of some settings, each replaced as a whole; UNSET: not changed."""

    language: str | UnsetType = UNSET
    zone: str | UnsetType = UNSET
    theme: Theme | UnsetType = UNSET
    density: Density | UnsetType = UNSET
    pane: Pane | UnsetType = UNSET
    conversations: bool | UnsetType = UNSET
    mark_read_after_s: int | UnsetType | None = UNSET
    after_archive: AfterArchive | UnsetType = UNSET
    single_keys: bool | UnsetType = UNSET
    undo_send_s: int | UnsetType = UNSET
    plain_text: bool | UnsetType = UNSET
    notify: Notify | UnsetType = UNSET
    notify_shows: NotifyShows | UnsetType = UNSET
    remote_images: RemoteImages | UnsetType = UNSET
    image_senders: tuple[str, ...] | UnsetType = UNSET
    labels: tuple[Label, ...] | UnsetType = UNSET
    saved_searches: tuple[SavedSearch, ...] | UnsetType = UNSET
    identities: tuple[SenderIdentity, ...] | UnsetType = UNSET
    rules: tuple[DeliveryRule, ...] | UnsetType = UNSET
    vacation: Vacation | UnsetType = UNSET


class StoredSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a user, and the seq of their last change; 0: never changed."""

    settings: UserSettings = UserSettings()
    changed_seq: int = 0
